// A menu and a toolbar as keyboards and screen readers expect them: one stop of the Tab key, arrows from one entry to the
// next, Escape back to where one was.

const STEPS = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 };

/** Have a button open a menu; `choose` gets what the entry that was chosen says in its `data-as`. */
export function wireMenu(button, menu, choose) {
  const open = (isOpen) => {
    menu.hidden = !isOpen;
    button.setAttribute("aria-expanded", String(isOpen));
    if (!isOpen) return;
    menu.style.left = `${Math.min(button.getBoundingClientRect().left, innerWidth - menu.offsetWidth - 8)}px`;
    menu.firstElementChild.focus();
  };
  button.onclick = () => open(menu.hidden);
  menu.onclick = (event) => {
    const chosen = event.target.closest("[data-as]");
    open(false);
    button.focus();
    if (chosen) choose(chosen.dataset.as);
  };
  menu.onkeydown = (event) => {
    focusNext(event, [...menu.children]);
    if (event.key === "Escape") open(false), button.focus();
    event.stopPropagation();
  };
  menu.addEventListener("focusout", ({ relatedTarget }) => {
    if (relatedTarget && !menu.contains(relatedTarget) && relatedTarget !== button) open(false);
  });
  addEventListener("pointerdown", (event) => {
    if (!menu.hidden && !menu.contains(event.target) && event.target !== button) open(false);
  });
}

/** Make one tool of a toolbar a stop of the Tab key, the one that was chosen or had the focus last. */
export function wireToolbar(bar) {
  const stop = (chosen) => {
    for (const button of bar.children) button.tabIndex = button === chosen ? 0 : -1;
  };
  stop(bar.firstElementChild);
  bar.addEventListener("focusin", ({ target }) => stop(target.closest("button")));
  new MutationObserver(() => stop(bar.querySelector("[aria-pressed=true]") ?? bar.firstElementChild)).observe(bar, {
    attributeFilter: ["aria-pressed"],
    subtree: true,
  });
  bar.addEventListener("keydown", (event) => {
    if (focusNext(event, [...bar.children].filter((button) => !button.hidden))) event.stopPropagation();
  });
}

/** Move the focus as an arrow, Home or End says; false for any other key. */
function focusNext(event, entries) {
  const place = entries.indexOf(document.activeElement);
  const step = STEPS[event.key];
  const ends = { Home: entries[0], End: entries.at(-1) };
  const next = step ? entries[(place + step + entries.length) % entries.length] : ends[event.key];
  if (!next) return false;
  event.preventDefault();
  next.focus();
  return true;
}
