// The stage of a specimen: drag, place, measure; a loupe while a landmark is under the hand.
import { effect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { detail } from "../edits";
import { isPlain, light } from "../stage/light";
import { Stage } from "../stage/stage";
import { toScreen } from "../stage/view";
import { mayEdit, rows, say, tell, dialog } from "../state";
import type { Xy } from "../types";
import { draw } from "./draw";
import {
  type LandmarkDetail, dragged, hovered, nextMissing, place, points, scheme, select, selected, shown, swapping, tape, tool,
} from "./model";
import { picture, pictureUrl } from "./picture";

export let stage: Stage | null = null;
const REACH_PX = 14;
const FINE = 0.2;
const LOUPE = 150;
const LOUPE_ZOOM = 3;

export function Canvas() {
  const host = useRef<HTMLDivElement>(null);
  const below = useRef<HTMLCanvasElement>(null);
  const above = useRef<HTMLCanvasElement>(null);
  const loupe = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const made = (stage = build(host.current!, below.current!, above.current!));
    const stops = [
      effect(() => void load(made)),
      effect(() => {
        void [points.value, selected.value, hovered.value, shown.value, swapping.value, tape.value, tool.value, detail.value];
        made.redraw();
        magnify(made, loupe.current!);
      }),
    ];
    return () => {
      stops.forEach((stop) => stop());
      stage = null;
    };
  }, []);
  const filter = isPlain.value ? undefined : "url(#light)";
  const cursor = tool.value !== "points" ? "crosshair" : hovered.value !== null ? "grab" : selectedIsMissing() ? "copy" : "default";
  return (
    <div class="stage" ref={host}>
      <canvas ref={below} style={{ filter }} aria-hidden="true" />
      <canvas
        ref={above} style={{ cursor }} role="img" tabIndex={-1}
        aria-label={`${detail.value?.label ?? ""}: ${points.value.filter(Boolean).length} of ${points.value.length} landmarks placed`}
      />
      <canvas class={`loupe ${dragged.value ? "on" : ""}`} ref={loupe} width={LOUPE * 2} height={LOUPE * 2} style={{ filter }} aria-hidden="true" />
    </div>
  );
}

const selectedIsMissing = () => selected.value !== null && points.value[selected.value] === null;

let serial = 0;

async function load(on: Stage): Promise<void> {
  const now = detail.value as LandmarkDetail | null;
  const treatment = { ...light.value };
  if (!now) return;
  const key = pictureUrl(now.item, now.version, treatment);
  if (key === on.host.dataset.url) return;
  const mine = ++serial;
  const sameItem = on.host.dataset.item === now.item;
  on.host.dataset.url = key;
  on.host.dataset.item = now.item;
  on.host.dataset.ready = "";
  if (now.version === null || !now.width || !now.height) {
    on.show(null, [1000, 800], false);
    say("The picture of this specimen was not found", "bad");
    return;
  }
  try {
    const bitmap = await picture(key);
    if (mine !== serial) return;
    on.show(bitmap, [now.width, now.height], sameItem);
    on.host.dataset.ready = "yes";
    ahead(now.item);
  } catch (error) {
    tell(error);
  }
}

/** The next picture of the queue is fetched while this one is looked at. */
function ahead(name: string): void {
  const list = rows.peek();
  const next = list[list.findIndex((row) => row.item === name) + 1];
  if (next) requestIdleCallback(() => picture(pictureUrl(next.item, versionGuess())).catch(() => undefined));
}

const versionGuess = () => null;

function nearest(on: Stage, at: Xy): number | null {
  let best: number | null = null;
  let least = REACH_PX;
  points.value.forEach((p, i) => {
    if (!p) return;
    const [x, y] = toScreen(on.view, p);
    const gap = Math.hypot(x - at[0], y - at[1]) - (i === selected.value ? 3 : 0);
    if (gap < least) [best, least] = [i, gap];
  });
  return best;
}

function build(host: HTMLElement, below: HTMLCanvasElement, above: HTMLCanvasElement): Stage {
  let grip: { index: number; last: Xy; at: Xy; moved: boolean } | null = null;
  const made: Stage = new Stage(host, below, above, {
    draw(context, view, size) {
      if (detail.value && scheme.value) draw(context, view, size, detail.value as LandmarkDetail, scheme.value);
    },
    press(at) {
      if (tool.value !== "points") return false;
      const index = nearest(made, at);
      if (index === null) return false;
      select(index);
      if (!mayEdit.value) return false;
      grip = { index, last: at, at: points.value[index]!, moved: false };
      return true;
    },
    drag(at, event) {
      if (!grip) return;
      const factor = (event.shiftKey ? FINE : 1) / made.view.zoom;
      if (!grip.moved && Math.hypot(at[0] - grip.last[0], at[1] - grip.last[1]) < 2) return;
      grip.moved = true;
      grip.at = [grip.at[0] + (at[0] - grip.last[0]) * factor, grip.at[1] + (at[1] - grip.last[1]) * factor];
      grip.last = at;
      dragged.value = { index: grip.index, at: grip.at };
    },
    release() {
      if (grip?.moved) place(grip.index, grip.at);
      grip = null;
      dragged.value = null;
    },
    hover(at) {
      hovered.value = at && tool.value === "points" ? nearest(made, at) : null;
    },
    tap(at) {
      tap(made.point(at));
    },
  });
  return made;
}

function tap(at: Xy): void {
  if (tool.value !== "points") {
    tape.value = tape.value.length >= 2 ? [at] : [...tape.value, at];
    if (tool.value === "scale" && tape.value.length === 2) dialog.value = "scale";
  } else if (selectedIsMissing() && mayEdit.value) {
    place(selected.value!, at);
    const next = nextMissing();
    if (next !== null) selected.value = next;
  } else select(null);
}

function magnify(on: Stage, canvas: HTMLCanvasElement): void {
  const moving = dragged.value;
  if (!moving || !on.picture) return;
  const context = canvas.getContext("2d")!;
  const zoom = Math.max(on.view.zoom * LOUPE_ZOOM, 3) * 2;
  const [x, y] = toScreen(on.view, moving.at);
  canvas.style.left = x > on.size[0] / 2 ? "16px" : "auto";
  canvas.style.right = x > on.size[0] / 2 ? "auto" : "16px";
  canvas.style.top = y > on.size[1] / 2 ? "16px" : "auto";
  canvas.style.bottom = y > on.size[1] / 2 ? "auto" : "72px";
  context.imageSmoothingEnabled = zoom < 12;
  context.fillStyle = "#000";
  context.fillRect(0, 0, 2 * LOUPE, 2 * LOUPE);
  const [w, h] = on.extent;
  context.drawImage(on.picture, LOUPE - (moving.at[0] + 0.5) * zoom, LOUPE - (moving.at[1] + 0.5) * zoom, w * zoom, h * zoom);
  context.strokeStyle = "#ffc24a";
  context.lineWidth = 2;
  context.beginPath();
  for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
    context.moveTo(LOUPE + dx * 14, LOUPE + dy * 14);
    context.lineTo(LOUPE + dx * 60, LOUPE + dy * 60);
  }
  context.stroke();
}
