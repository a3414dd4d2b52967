// The picture of the playhead's frame with its animals; nodes are dragged as landmarks are.
import { effect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { isPlain } from "../stage/light";
import { Stage } from "../stage/stage";
import { type View, toScreen } from "../stage/view";
import { mayEdit, tell } from "../state";
import type { Xy } from "../types";
import { frameOf } from "./frames";
import {
  animals, chosenNode, dragged, focus, frame, hoveredNode, last, placeNode, playing, scheme, seeNames, seek, trackColour, video,
} from "./model";

export let stage: Stage | null = null;
const REACH_PX = 13;
const INK = "rgba(8, 12, 16, 0.8)";

export function Player() {
  const host = useRef<HTMLDivElement>(null);
  const below = useRef<HTMLCanvasElement>(null);
  const above = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const made = (stage = build(host.current!, below.current!, above.current!));
    const stops = [
      effect(() => void show(made)),
      effect(() => {
        void [frame.value, video.value, hoveredNode.value, chosenNode.value, dragged.value, seeNames.value, focus.value];
        animals(frame.value);
        made.redraw();
      }),
      effect(() => (playing.value ? play() : undefined)),
    ];
    return () => {
      stops.forEach((stop) => stop());
      stage = null;
    };
  }, []);
  return (
    <div class="stage" ref={host}>
      <canvas ref={below} style={{ filter: isPlain.value ? undefined : "url(#light)" }} aria-hidden="true" />
      <canvas ref={above} style={{ cursor: hoveredNode.value ? "grab" : "default" }} role="img" aria-label={`Frame ${frame.value}`} />
    </div>
  );
}

let serial = 0;
let drawn = 0; // the frame that is on the screen; animals are drawn on their own frame only

async function show(on: Stage): Promise<void> {
  const now = video.value;
  const index = frame.value;
  if (!now) return;
  const mine = ++serial;
  const same = on.host.dataset.item === now.item;
  on.host.dataset.item = now.item;
  if (!now.film) {
    drawn = index;
    on.show(null, [now.width, now.height], same);
    return;
  }
  try {
    const bitmap = await frameOf(now.item, index);
    if (mine !== serial) return;
    drawn = index;
    on.show(bitmap, [now.width, now.height], same);
    on.host.dataset.ready = String(index);
    for (let ahead = 1; ahead <= (playing.peek() ? 12 : 3); ahead++) {
      if (index + ahead <= last.peek()) frameOf(now.item, index + ahead).catch(() => undefined);
    }
  } catch (error) {
    tell(error);
  }
}

/** Forwards at the video's own pace; where the server is slower, at the server's, and no frame is left out. */
function play(): () => void {
  let stopped = false;
  const next = async () => {
    const now = video.peek();
    if (stopped || !now) return;
    const begun = performance.now();
    if (frame.peek() >= last.peek()) {
      playing.value = false;
      return;
    }
    const index = frame.peek() + 1;
    if (now.film) await frameOf(now.item, index).catch(() => undefined);
    if (stopped) return;
    seek(index);
    setTimeout(next, Math.max(0, 1000 / now.fps - (performance.now() - begun)));
  };
  next();
  return () => {
    stopped = true;
  };
}

function nearest(on: Stage, at: Xy): { animal: number; node: number } | null {
  let best: { animal: number; node: number } | null = null;
  let least = REACH_PX;
  animals(frame.value).forEach((animal, i) =>
    animal.points.forEach((p, node) => {
      if (!p) return;
      const [x, y] = toScreen(on.view, p);
      const gap = Math.hypot(x - at[0], y - at[1]);
      if (gap < least) [best, least] = [{ animal: i, node }, gap];
    }),
  );
  return best;
}

function build(host: HTMLElement, below: HTMLCanvasElement, above: HTMLCanvasElement): Stage {
  let grip: { animal: number; node: number; last: Xy; at: Xy; moved: boolean } | null = null;
  const made: Stage = new Stage(host, below, above, {
    draw: (context, view) => draw(context, view),
    press(at) {
      const found = nearest(made, at);
      chosenNode.value = found;
      if (!found) return false;
      focus.value = animals(frame.value)[found.animal].track;
      if (!mayEdit.value) return false;
      playing.value = false;
      grip = { ...found, last: at, at: animals(frame.value)[found.animal].points[found.node]!, moved: false };
      return true;
    },
    drag(at, event) {
      if (!grip) return;
      const factor = (event.shiftKey ? 0.2 : 1) / made.view.zoom;
      grip.moved = true;
      grip.at = [grip.at[0] + (at[0] - grip.last[0]) * factor, grip.at[1] + (at[1] - grip.last[1]) * factor];
      grip.last = at;
      dragged.value = { animal: grip.animal, node: grip.node, at: grip.at };
    },
    release() {
      if (grip?.moved) placeNode(grip.animal, grip.node, grip.at);
      grip = null;
      dragged.value = null;
    },
    hover: (at) => (hoveredNode.value = at && nearest(made, at)),
    tap: () => (focus.value = null),
  });
  return made;
}

function draw(context: CanvasRenderingContext2D, view: View): void {
  const edges = scheme.value?.edges ?? [];
  context.lineCap = "round";
  animals(drawn).forEach((animal, i) => {
    const colour = trackColour(animal.track);
    const places = animal.points.map((p) => p && toScreen(view, p));
    context.globalAlpha = focus.value && focus.value !== animal.track ? 0.35 : 1;
    for (const [width, style] of [[4, INK], [2, colour]] as const) {
      context.beginPath();
      for (const [a, b] of edges) {
        const [p, q] = [places[a], places[b]];
        if (p && q) {
          context.moveTo(...p);
          context.lineTo(...q);
        }
      }
      context.lineWidth = width;
      context.strokeStyle = style;
      context.stroke();
    }
    places.forEach((p, node) => {
      if (!p) return;
      const chosen = [chosenNode.value, hoveredNode.value].some((n) => n?.animal === i && n.node === node);
      context.beginPath();
      context.arc(p[0], p[1], chosen ? 6 : 3.6, 0, 2 * Math.PI);
      context.fillStyle = chosen ? "#ffffff" : colour;
      context.fill();
      context.lineWidth = 1.3;
      context.strokeStyle = INK;
      context.stroke();
      if (chosen) write(context, scheme.value!.nodes[node], p[0] + 10, p[1] + 4, "#ffffff");
    });
    if (seeNames.value && animal.track) {
      const seen = places.filter((p): p is Xy => p !== null);
      if (seen.length) {
        const top = seen.reduce((a, b) => (b[1] < a[1] ? b : a));
        write(context, animal.track, top[0] - 10, top[1] - 12, colour);
      }
    }
    context.globalAlpha = 1;
  });
}

function write(context: CanvasRenderingContext2D, text: string, x: number, y: number, colour: string): void {
  context.font = '600 12px system-ui, -apple-system, "Segoe UI", sans-serif';
  context.lineWidth = 3.5;
  context.strokeStyle = INK;
  context.strokeText(text, x, y);
  context.fillStyle = colour;
  context.fillText(text, x, y);
}
