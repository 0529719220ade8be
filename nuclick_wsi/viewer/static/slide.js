// The slide itself: OpenSeadragon on the server's tiles, the scale bar, and moving about by keys.

import { headers } from "./api.js";

const LARGEST_PIXEL = 12; // screen pixels that a slide pixel may take
const WIDEST_BAR = 160;

export function openSlide(element, info) {
  const { side, overlap, last, key } = info.tiles;
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  return OpenSeadragon({
    element,
    drawer: "canvas",
    tileSources: {
      width: info.width,
      height: info.height,
      tileSize: side,
      tileOverlap: overlap,
      minLevel: 0,
      maxLevel: last,
      getTileUrl: (level, x, y) => `/view/tiles/${key.slice(0, 16)}/${level}/${x}_${y}.jpg`,
    },
    loadTilesWithAjax: true,
    ajaxHeaders: headers(),
    tabIndex: -1, // the element around it takes the focus
    showNavigationControl: false,
    showNavigator: true,
    navigatorPosition: "TOP_RIGHT",
    navigatorSizeRatio: 0.16,
    navigatorAutoFade: false,
    maxZoomPixelRatio: LARGEST_PIXEL,
    visibilityRatio: 0.5,
    animationTime: still ? 0 : 0.35,
    springStiffness: 10,
    gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: false },
    gestureSettingsTouch: { clickToZoom: false, dblClickToZoom: false },
    gestureSettingsPen: { clickToZoom: false, dblClickToZoom: false },
    gestureSettingsUnknown: { clickToZoom: false, dblClickToZoom: false },
    crossOriginPolicy: false,
  });
}

/** Return where a position of the screen is on the slide, in slide pixels. */
export function slidePosition(osd, position) {
  return osd.world.getItemAt(0).viewerElementToImageCoordinates(position);
}

export function middle(osd) {
  return osd.world.getItemAt(0).viewportToImageCoordinates(osd.viewport.getCenter(true));
}

/** Move to a box in slide pixels so that it fills a part of the screen, without zooming out. */
export function goTo(osd, [left, top, right, bottom]) {
  const item = osd.world.getItemAt(0);
  const room = Math.max(right - left, bottom - top, 40) * 2.5;
  const box = item.imageToViewportRectangle((left + right - room) / 2, (top + bottom - room) / 2, room, room);
  osd.viewport.fitBoundsWithConstraints(box);
}

export function move(osd, right, down, isFine) {
  const part = osd.viewport.getBounds();
  const steps = isFine ? 100 : 8; // across the screen
  osd.viewport.panBy(new OpenSeadragon.Point((right * part.width) / steps, (down * part.height) / steps));
  osd.viewport.applyConstraints();
}

export function zoom(osd, factor) {
  osd.viewport.zoomBy(factor);
  osd.viewport.applyConstraints();
}

/** Keep a bar of a round length in the corner; `micronsPerPixel` says the pixel size, or null where none is known. */
export function showScale(element, osd, micronsPerPixel) {
  const update = () => {
    const item = osd.world.getItemAt(0);
    if (!item) return;
    const zoomed = item.viewportToImageZoom(osd.viewport.getZoom(true)); // screen pixels per slide pixel
    const mpp = micronsPerPixel();
    const length = roundBelow((WIDEST_BAR / zoomed) * (mpp ?? 1));
    element.style.width = `${(length / (mpp ?? 1)) * zoomed}px`;
    element.firstElementChild.textContent = mpp === null ? `${length} px` : inMicrons(length);
  };
  for (const event of ["update-viewport", "resize", "open"]) osd.addHandler(event, update);
  return update;
}

function roundBelow(length) {
  const power = 10 ** Math.floor(Math.log10(length));
  return power * [5, 2, 1].find((step) => step * power <= length);
}

function inMicrons(length) {
  return length >= 1000 ? `${length / 1000} mm` : `${+length.toPrecision(2)} µm`;
}
