// The time line: tracks where they are seen, bouts in lanes, what looks wrong, and the playhead.
import { effect, signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { mayEdit } from "../state";
import { theme } from "../theme";
import {
  bouts, chosenBout, clock, draft, frame, lanes, last, nameAt, paint, playing, raw, saveBouts, seconds, seek, swaps, trackColour, video,
} from "./model";

const LEFT = 112;
const AXIS = 22;
const LANE = 18;
const TRACK = 9;
export const span = signal<[number, number]>([0, 1]); // frames in sight

export function Timeline() {
  const canvas = useRef<HTMLCanvasElement>(null);
  const tracks = video.value?.tracks ?? [];
  const high = AXIS + Math.max(1, lanes.value.length) * LANE + tracks.length * TRACK + 12;
  useEffect(() => {
    const element = canvas.current!;
    const watch = new ResizeObserver(() => paintAll(element));
    watch.observe(element);
    const stop = effect(() => {
      void [frame.value, bouts.value, chosenBout.value, span.value, theme.value, swaps.value, video.value];
      paintAll(element);
    });
    const fresh = effect(() => {
      if (video.value) span.value = [0, video.value.frames];
    });
    element.addEventListener("wheel", (event) => zoom(element, event), { passive: false });
    return () => (watch.disconnect(), stop(), fresh());
  }, [video.value?.item]);
  return (
    <canvas
      class="timeline" ref={canvas} style={{ height: `${high}px` }} tabIndex={0} role="slider" aria-label="Time line"
      aria-valuemin={0} aria-valuemax={last.value} aria-valuenow={frame.value} aria-valuetext={clock(seconds(frame.value))}
      onPointerDown={(event) => down(event.currentTarget, event)}
    />
  );
}

const xOf = (element: HTMLCanvasElement, index: number) =>
  LEFT + ((index - span.value[0]) / (span.value[1] - span.value[0])) * (element.clientWidth - LEFT - 12);
const frameAt = (element: HTMLCanvasElement, x: number) =>
  span.value[0] + ((x - LEFT) / (element.clientWidth - LEFT - 12)) * (span.value[1] - span.value[0]);

function zoom(element: HTMLCanvasElement, event: WheelEvent): void {
  event.preventDefault();
  const all = video.value?.frames ?? 1;
  const at = frameAt(element, event.clientX - element.getBoundingClientRect().left);
  const wide = span.value[1] - span.value[0];
  if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
    const by = Math.max(-span.value[0], Math.min(all - span.value[1], ((event.deltaX || event.deltaY) / 800) * wide));
    span.value = [span.value[0] + by, span.value[1] + by];
    return;
  }
  const next = Math.max(20, Math.min(all, wide * Math.exp(event.deltaY * 0.002)));
  const from = Math.max(0, Math.min(all - next, at - ((at - span.value[0]) / wide) * next));
  span.value = [from, from + next];
}

function down(element: HTMLCanvasElement, event: PointerEvent): void {
  const box = element.getBoundingClientRect();
  const x = event.clientX - box.left;
  const y = event.clientY - box.top;
  element.setPointerCapture(event.pointerId);
  playing.value = false;
  const hit = boutAt(element, x, y);
  chosenBout.value = hit?.index ?? null;
  const scrub = (e: PointerEvent) => seek(frameAt(element, e.clientX - box.left));
  const stretch = (e: PointerEvent) => {
    const at = Math.max(0, Math.round(frameAt(element, e.clientX - box.left))) / video.value!.fps;
    draft.value = bouts.value.map((b, i) =>
      i !== hit!.index ? b : hit!.edge === "start" ? { ...b, start_s: Math.min(at, b.stop_s) } : { ...b, stop_s: Math.max(at, b.start_s) },
    );
    seek(at * video.value!.fps);
  };
  const move = hit?.edge && mayEdit.value ? stretch : scrub;
  if (!hit?.edge) scrub(event);
  const up = () => {
    element.removeEventListener("pointermove", move);
    if (draft.value) saveBouts(draft.value);
  };
  element.addEventListener("pointermove", move);
  element.addEventListener("pointerup", up, { once: true });
}

function boutAt(element: HTMLCanvasElement, x: number, y: number): { index: number; edge: "start" | "stop" | null } | null {
  const lane = lanes.value[Math.floor((y - AXIS) / LANE)];
  const fps = video.value?.fps ?? 25;
  for (let i = bouts.value.length - 1; i >= 0; i--) {
    const bout = bouts.value[i];
    if (bout.subject !== lane) continue;
    const [a, b] = [xOf(element, bout.start_s * fps), xOf(element, bout.stop_s * fps)];
    if (x < a - 4 || x > b + 4) continue;
    const near = Math.min(6, (b - a) / 3);
    return { index: i, edge: Math.abs(x - a) <= near ? "start" : Math.abs(x - b) <= near ? "stop" : null };
  }
  return null;
}

function paintAll(element: HTMLCanvasElement): void {
  const now = video.value;
  const ratio = devicePixelRatio || 1;
  const [wide, high] = [element.clientWidth, element.clientHeight];
  element.width = Math.round(wide * ratio);
  element.height = Math.round(high * ratio);
  const context = element.getContext("2d")!;
  context.scale(ratio, ratio);
  if (!now) return;
  const style = getComputedStyle(element);
  const ink = { soft: style.getPropertyValue("--soft"), line: style.getPropertyValue("--line"), accent: style.getPropertyValue("--accent"), text: style.getPropertyValue("--ink") };
  context.font = '12px system-ui, -apple-system, "Segoe UI", sans-serif';
  axis(context, element, ink);
  lanes.value.forEach((lane, i) => {
    context.fillStyle = ink.soft;
    context.fillText(clipped(context, lane || "all", LEFT - 20), 12, AXIS + i * LANE + 13);
    context.fillStyle = ink.line;
    context.fillRect(LEFT, AXIS + i * LANE + LANE - 1, wide - LEFT - 12, 1);
  });
  context.save();
  context.beginPath();
  context.rect(LEFT, 0, wide - LEFT - 11, high);
  context.clip();
  bouts.value.forEach((bout, i) => {
    const lane = lanes.value.indexOf(bout.subject);
    const [a, b] = [xOf(element, bout.start_s * now.fps), xOf(element, bout.stop_s * now.fps)];
    context.fillStyle = paint(bout.behavior);
    context.globalAlpha = chosenBout.value === null || chosenBout.value === i ? 0.95 : 0.6;
    context.beginPath();
    context.roundRect(a, AXIS + lane * LANE + 2, Math.max(b - a - 1, 2), LANE - 5, 3);
    context.fill();
    if (chosenBout.value === i) {
      context.strokeStyle = ink.text;
      context.lineWidth = 1.5;
      context.stroke();
    }
    context.globalAlpha = 1;
    if (b - a > 40) {
      context.fillStyle = "#ffffff";
      context.fillText(clipped(context, bout.behavior, b - a - 10), a + 5, AXIS + lane * LANE + 13);
    }
  });
  const base = AXIS + Math.max(1, lanes.value.length) * LANE + 4;
  presence(context, element, base);
  marks(context, element, base, now.tracks.length);
  const x = xOf(element, frame.value);
  context.fillStyle = ink.accent;
  context.fillRect(x - 0.75, 0, 1.5, high);
  context.beginPath();
  context.moveTo(x - 5, 0);
  context.lineTo(x + 5, 0);
  context.lineTo(x, 7);
  context.fill();
  context.restore();
  context.fillStyle = ink.soft;
  if (now.tracks.length) context.fillText("tracks", 12, base + 9);
}

function axis(context: CanvasRenderingContext2D, element: HTMLCanvasElement, ink: { soft: string; line: string }): void {
  const fps = video.value!.fps;
  const wide = (span.value[1] - span.value[0]) / fps;
  const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600].find((s) => wide / s <= 10) ?? 7200;
  for (let s = Math.ceil(span.value[0] / fps / step) * step; s * fps <= span.value[1]; s += step) {
    const x = xOf(element, s * fps);
    context.fillStyle = ink.line;
    context.fillRect(x, AXIS - 6, 1, element.clientHeight);
    context.fillStyle = ink.soft;
    const text = step < 1 ? `${s.toFixed(1)} s` : s >= 60 ? `${Math.floor(s / 60)}:${String(Math.round(s % 60)).padStart(2, "0")}` : `${Math.round(s)} s`;
    if (x < element.clientWidth - 36) context.fillText(text, x + 4, 13);
  }
}

/** Where each track is seen, as far as the poses are here; a line a track. */
function presence(context: CanvasRenderingContext2D, element: HTMLCanvasElement, base: number): void {
  const now = video.value!;
  const step = Math.max(1, Math.floor((span.value[1] - span.value[0]) / 600));
  for (let i = Math.floor(span.value[0]); i < span.value[1]; i += step) {
    for (const animal of raw(i)) {
      const row = now.tracks.indexOf(nameAt(animal.track, i));
      if (row < 0) continue;
      context.fillStyle = trackColour(now.tracks[row]);
      const x = xOf(element, i);
      context.fillRect(x, base + row * TRACK, Math.max(1, xOf(element, i + step) - x + 0.5), TRACK - 4);
    }
  }
}

function marks(context: CanvasRenderingContext2D, element: HTMLCanvasElement, base: number, tracks: number): void {
  for (const one of video.value!.suspects) {
    const done = swaps.value.some(([at]) => at === one.frame);
    context.fillStyle = done ? "#4a9d5f" : "#e0533f";
    const x = xOf(element, one.frame);
    context.beginPath();
    context.moveTo(x, base - 3);
    context.lineTo(x - 4.5, base - 10);
    context.lineTo(x + 4.5, base - 10);
    context.fill();
    context.fillRect(x - 0.5, base - 3, 1, tracks * TRACK + 4);
  }
  context.fillStyle = "#4a9d5f";
  for (const [at] of swaps.value) context.fillRect(xOf(element, at) - 1, base - 2, 2, tracks * TRACK + 4);
}

function clipped(context: CanvasRenderingContext2D, text: string, wide: number): string {
  if (context.measureText(text).width <= wide) return text;
  let short = text;
  while (short.length > 1 && context.measureText(`${short}…`).width > wide) short = short.slice(0, -1);
  return `${short}…`;
}
