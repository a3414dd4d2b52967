// A picture with something drawn over it: two canvases, zoom by wheel and pinch, pan by drag. What is drawn and what a
// press means is the business of whoever owns the stage.
import type { Xy } from "../types";
import { type View, fitted, moved, toPicture, zoomed } from "./view";

export interface Handlers {
  draw(context: CanvasRenderingContext2D, view: View, size: Xy): void;
  /** A press at a point of the screen; true where it is taken, so that it does not pan. */
  press(at: Xy, event: PointerEvent): boolean;
  drag(at: Xy, event: PointerEvent): void;
  release(at: Xy, event: PointerEvent): void;
  hover(at: Xy | null): void;
  tap(at: Xy, event: PointerEvent): void;
}

const CLICK_PX = 4;

export class Stage {
  view: View = { zoom: 1, x: 0, y: 0 };
  size: Xy = [1, 1];
  picture: CanvasImageSource | null = null;
  extent: Xy = [1, 1]; // of the picture in its own pixels
  private pointers = new Map<number, Xy>();
  private mode: "none" | "pan" | "taken" | "pinch" = "none";
  private start: Xy = [0, 0];
  private asked = 0;
  private untouched = true;

  constructor(
    readonly host: HTMLElement,
    readonly below: HTMLCanvasElement,
    readonly above: HTMLCanvasElement,
    readonly handlers: Handlers,
  ) {
    new ResizeObserver(() => this.resize()).observe(host);
    above.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    above.addEventListener("pointerdown", (event) => this.down(event));
    above.addEventListener("pointermove", (event) => this.move(event));
    above.addEventListener("pointerup", (event) => this.up(event));
    above.addEventListener("pointercancel", (event) => this.up(event));
    above.addEventListener("pointerleave", () => handlers.hover(null));
    this.resize();
  }

  show(picture: CanvasImageSource | null, extent: Xy, keepView: boolean): void {
    const same = keepView && extent[0] === this.extent[0] && extent[1] === this.extent[1];
    this.picture = picture;
    this.extent = extent;
    if (!same) this.fit();
    this.redraw();
  }

  fit(): void {
    this.view = fitted(this.extent[0], this.extent[1], this.size[0], this.size[1]);
    this.untouched = true;
    this.redraw();
  }

  zoomBy(factor: number, at: Xy = [this.size[0] / 2, this.size[1] / 2]): void {
    this.look(zoomed(this.view, factor, at));
  }

  look(view: View): void {
    this.view = view;
    this.untouched = false;
    this.redraw();
  }

  /** Draw at the next frame, once however often it is asked. */
  redraw(): void {
    if (this.asked) return;
    this.asked = requestAnimationFrame(() => {
      this.asked = 0;
      this.paint();
    });
  }

  at(event: { clientX: number; clientY: number }): Xy {
    const box = this.above.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  private resize(): void {
    const ratio = devicePixelRatio || 1;
    this.size = [this.host.clientWidth, this.host.clientHeight];
    for (const canvas of [this.below, this.above]) {
      canvas.width = Math.max(1, Math.round(this.size[0] * ratio));
      canvas.height = Math.max(1, Math.round(this.size[1] * ratio));
    }
    if (this.untouched) this.fit();
    this.paint();
  }

  private paint(): void {
    const ratio = devicePixelRatio || 1;
    const { zoom, x, y } = this.view;
    const lower = this.below.getContext("2d")!;
    lower.setTransform(ratio, 0, 0, ratio, 0, 0);
    lower.clearRect(0, 0, this.size[0], this.size[1]);
    lower.imageSmoothingEnabled = zoom < 4;
    lower.imageSmoothingQuality = "high";
    if (this.picture) {
      // The pixel with centre (0, 0) reaches from -1/2 to 1/2.
      lower.drawImage(this.picture, x - zoom / 2, y - zoom / 2, this.extent[0] * zoom, this.extent[1] * zoom);
    }
    const upper = this.above.getContext("2d")!;
    upper.setTransform(ratio, 0, 0, ratio, 0, 0);
    upper.clearRect(0, 0, this.size[0], this.size[1]);
    this.handlers.draw(upper, this.view, this.size);
  }

  private wheel(event: WheelEvent): void {
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 16 : 1;
    if (event.shiftKey) this.look(moved(this.view, -event.deltaY * lines, 0));
    else this.zoomBy(Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0018)), this.at(event));
  }

  private down(event: PointerEvent): void {
    const at = this.at(event);
    this.above.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, at);
    if (this.pointers.size === 2) {
      this.mode = "pinch";
      return;
    }
    this.start = at;
    this.mode = event.button === 0 && this.handlers.press(at, event) ? "taken" : "pan";
  }

  private move(event: PointerEvent): void {
    const at = this.at(event);
    const before = this.pointers.get(event.pointerId);
    if (!before) {
      this.handlers.hover(at);
      return;
    }
    if (this.mode === "pinch") this.pinch(event.pointerId, at);
    else if (this.mode === "taken") this.handlers.drag(at, event);
    else if (this.mode === "pan") this.look(moved(this.view, at[0] - before[0], at[1] - before[1]));
    this.pointers.set(event.pointerId, at);
  }

  private pinch(id: number, at: Xy): void {
    const other = [...this.pointers].find(([key]) => key !== id)?.[1];
    const before = this.pointers.get(id);
    if (!other || !before) return;
    const was = Math.hypot(before[0] - other[0], before[1] - other[1]);
    const is = Math.hypot(at[0] - other[0], at[1] - other[1]);
    const middle: Xy = [(at[0] + other[0]) / 2, (at[1] + other[1]) / 2];
    this.look(moved(zoomed(this.view, is / Math.max(was, 1), middle), (at[0] - before[0]) / 2, (at[1] - before[1]) / 2));
  }

  private up(event: PointerEvent): void {
    const at = this.at(event);
    const mode = this.mode;
    if (!this.pointers.delete(event.pointerId)) return;
    if (this.pointers.size === 0) this.mode = "none";
    if (mode === "taken") this.handlers.release(at, event);
    else if (mode === "pan" && Math.hypot(at[0] - this.start[0], at[1] - this.start[1]) < CLICK_PX) {
      this.handlers.tap(at, event);
    }
  }

  /** The picture's coordinates under a point of the screen. */
  point(at: Xy): Xy {
    return toPicture(this.view, at);
  }
}
