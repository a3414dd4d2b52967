// Where the picture lies on the screen: picture pixels to CSS pixels. Pixel centres are whole numbers.
import type { Xy } from "../types";

export interface View {
  zoom: number; // CSS px per picture px
  x: number; // CSS position of the picture's pixel centre (0, 0)
  y: number;
}

export const toScreen = (view: View, [x, y]: Xy): Xy => [view.x + x * view.zoom, view.y + y * view.zoom];
export const toPicture = (view: View, [x, y]: Xy): Xy => [(x - view.x) / view.zoom, (y - view.y) / view.zoom];

const MARGIN = 24;
const LEAST = 0.02;
const MOST = 64;

/** The whole picture in the middle. */
export function fitted(width: number, height: number, wide: number, high: number): View {
  const zoom = Math.max(LEAST, Math.min((wide - 2 * MARGIN) / width, (high - 2 * MARGIN) / height, MOST));
  return { zoom, x: (wide - (width - 1) * zoom) / 2, y: (high - (height - 1) * zoom) / 2 };
}

/** Zoom by a factor about a point of the screen, which stays where it is. */
export function zoomed(view: View, factor: number, [x, y]: Xy): View {
  const zoom = Math.max(LEAST, Math.min(MOST, view.zoom * factor));
  const by = zoom / view.zoom;
  return { zoom, x: x - (x - view.x) * by, y: y - (y - view.y) * by };
}

export const moved = (view: View, dx: number, dy: number): View => ({ ...view, x: view.x + dx, y: view.y + dy });

/** The view in which a point of the picture stands in the middle. */
export const centred = (view: View, [x, y]: Xy, wide: number, high: number): View => ({
  ...view, x: wide / 2 - x * view.zoom, y: high / 2 - y * view.zoom,
});
