// Measures contrast on the page as WCAG 2 defines it: text on its ground, edges of controls, rings around the focus.
(() => {
  const parse = (text) => (text.match(/[\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
  const over = ([r, g, b, a = 1], below) => [r, g, b].map((part, at) => part * a + below[at] * (1 - a));
  const flat = (layers, lowest) => layers.reduceRight((below, layer) => over(layer, below), lowest);
  const light = ([r, g, b]) => [r, g, b].map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
  const contrast = (one, other) => {
    const [more, less] = [light(one), light(other)].sort((a, b) => b - a);
    return (more + 0.05) / (less + 0.05);
  };
  // What an element may lie on: its own ground, on those of what it is in; over the slide, black and white tissue.
  const grounds = (element) => {
    const layers = [];
    for (let one = element; one; one = one.parentElement) {
      const color = parse(getComputedStyle(one).backgroundColor);
      if ((color[3] ?? 1) > 0) layers.push(color);
      if ((color[3] ?? 1) === 1) break;
      if (one.matches("#hint, #progress, #messages > p, #zoom button, #scale")) {
        return [[0, 0, 0], [255, 255, 255]].map((tissue) => flat(layers, tissue));
      }
    }
    return [flat(layers, [255, 255, 255])];
  };
  const shown = (element) => element.checkVisibility({ visibilityProperty: true }) && !element.closest(":disabled");
  const name = ({ tagName, id, className, textContent }) => `${tagName} ${id || className} ${textContent.trim().slice(0, 30)}`;
  const faults = [];
  let texts = 0, edges = 0;
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement;
    if (!walk.currentNode.textContent.trim() || element.matches("script, style, option") || !shown(element)) continue;
    texts += 1;
    const color = parse(getComputedStyle(element).color);
    for (const ground of grounds(element)) {
      const found = contrast(over(color, ground), ground);
      if (found < 4.5) faults.push(`text ${found.toFixed(2)}: ${name(element)}`);
    }
  }
  for (const element of document.querySelectorAll("button, input:not([type=checkbox], [type=file])")) {
    const style = getComputedStyle(element);
    const edge = parse(style.borderTopColor);
    if (!shown(element) || (edge[3] ?? 1) === 0 || style.borderTopWidth === "0px") continue;
    edges += 1;
    for (const around of grounds(element.parentElement)) {
      const own = parse(style.backgroundColor);
      const found = Math.max(contrast(over(edge, around), around), contrast(over(own, around), around));
      if (found < 3) faults.push(`edge ${found.toFixed(2)}: ${name(element)}`);
    }
  }
  const ring = parse(getComputedStyle(document.documentElement).getPropertyValue("--focus").trim()
    .replace(/^#(..)(..)(..)$/, (_, ...parts) => parts.slice(0, 3).map((part) => parseInt(part, 16)).join(" ")));
  for (const where of ["header", "nav", "aside", "dialog"]) {
    for (const ground of grounds(document.querySelector(where))) {
      if (contrast(ring, ground) < 3) faults.push(`focus ring ${contrast(ring, ground).toFixed(2)}: ${where}`);
    }
  }
  return { faults, texts, edges };
})()
