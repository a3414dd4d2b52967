// The segments in space: turned by hand or keys, a click chooses one; where truth and prediction differ by colour.
import { effect } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { choose, chosen, correction, instances, root, see, segmentOf, volume } from "./model";
import { type Look, Painter, type Turn } from "./painter";
import { solidOf } from "./surfaces";

const STILL_PX = 4;
const START: Turn = { yaw: 0.6, pitch: 0.35, zoom: 1 };

export function Solid() {
  const canvas = useRef<HTMLCanvasElement>(null);
  const painter = useRef<Painter | null>(null);
  const turn = useRef<Turn>({ ...START });
  const held = useRef<Map<number, [number, number]>>(new Map());
  const moved = useRef(0);
  const [why, setWhy] = useState("");
  const now = volume.value!;
  const paint = () => painter.current?.draw(turn.current, look);
  useEffect(() => {
    const element = canvas.current!;
    try {
      painter.current = new Painter(element);
    } catch (error) {
      setWhy((error as Error).message);
      return;
    }
    const watch = new ResizeObserver(paint);
    watch.observe(element);
    let shown = "";
    const stop = effect(() => {
      void [chosen.value, see.value, volume.value?.values];
      const which = source();
      const name = volume.value?.item;
      if (!which || !name) return;
      if (shown === `${name}/${which}`) return paint();
      shown = `${name}/${which}`;
      solidOf(name, which)
        .then((solid) => {
          if (shown !== `${name}/${which}`) return;
          painter.current!.load(solid);
          paint();
          element.dataset.shown = which;
        })
        .catch((error) => setWhy(error.message));
    });
    const wheel = (event: WheelEvent) => {
      event.preventDefault();
      zoom(Math.exp(-event.deltaY * 0.0015));
    };
    element.addEventListener("wheel", wheel, { passive: false });
    return () => (stop(), watch.disconnect());
  }, [now.item]);

  const zoom = (by: number) => {
    turn.current.zoom = Math.min(12, Math.max(0.4, turn.current.zoom * by));
    paint();
  };
  const rotate = (dx: number, dy: number) => {
    turn.current.yaw += dx;
    turn.current.pitch = Math.min(1.57, Math.max(-1.57, turn.current.pitch + dy));
    paint();
  };
  const point = (event: PointerEvent): [number, number] => {
    const box = canvas.current!.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const drag = (event: PointerEvent) => {
    const before = held.current.get(event.pointerId);
    if (!before) return;
    const at = point(event);
    const other = [...held.current].find(([id]) => id !== event.pointerId)?.[1];
    if (other) zoom(Math.hypot(at[0] - other[0], at[1] - other[1]) / Math.max(1, Math.hypot(before[0] - other[0], before[1] - other[1])));
    else rotate((at[0] - before[0]) * 0.008, (at[1] - before[1]) * 0.008);
    moved.current += Math.hypot(at[0] - before[0], at[1] - before[1]);
    held.current.set(event.pointerId, at);
  };
  const release = (event: PointerEvent) => {
    if (!held.current.delete(event.pointerId) || event.type === "pointercancel") return;
    if (moved.current < STILL_PX) {
      const id = painter.current?.pick(turn.current, look, ...point(event)) ?? null;
      choose(id, id !== null);
    }
  };
  return (
    <div class="pane solid">
      <canvas
        ref={canvas} tabIndex={0} role="img" aria-label={`Segments in 3-D; arrow keys turn them, plus and minus zoom`}
        onPointerDown={(event) => (canvas.current!.setPointerCapture(event.pointerId), (moved.current = 0), held.current.set(event.pointerId, point(event)))}
        onPointerMove={drag} onPointerUp={release} onPointerCancel={release}
        onKeyDown={(event) => {
          const by = ({ ArrowLeft: [-0.12, 0], ArrowRight: [0.12, 0], ArrowUp: [0, -0.12], ArrowDown: [0, 0.12] } as Record<string, [number, number]>)[event.key];
          if (by) rotate(...by);
          else if (event.key === "+" || event.key === "=") zoom(1.2);
          else if (event.key === "-") zoom(1 / 1.2);
          else if (event.key === "0") (turn.current = { ...START }), paint();
          else return;
          event.preventDefault();
          event.stopPropagation();
        }}
      />
      <p class="where"><b>3-D</b> {source() ?? ""}{see.value.disagreement && source() === "truth" && now.segments.prediction ? ", by agreement" : ""}</p>
      {why && <p class="hint pad">{why}</p>}
    </div>
  );
}

/** What is drawn: the truth, or the prediction where that alone is shown or there is no truth. */
function source(): "truth" | "prediction" | null {
  const has = volume.value?.segments ?? {};
  if (has.truth && (see.value.truth || see.value.disagreement || !has.prediction)) return "truth";
  return has.prediction && (see.value.prediction || !has.truth) ? "prediction" : has.truth ? "truth" : null;
}

function look(id: number): Look | null {
  const which = source();
  const corrected = which === "truth" || !volume.value?.segments.truth;
  const colour = (corrected ? segmentOf(root(id)) : volume.value?.segments.prediction?.[id - 1])?.color ?? [0.7, 0.7, 0.7];
  const faded = corrected && chosen.value !== null && root(id) !== root(chosen.value);
  if (see.value.disagreement && which === "truth") {
    const dice = instances.value.find((row) => row.id === id)?.dice ?? 1;
    const wrong = Math.min(1, Math.max(0, (0.95 - dice) / 0.45));
    return { colour: [0.72 + 0.25 * wrong, 0.74 - 0.45 * wrong, 0.76 - 0.53 * wrong], faded };
  }
  if (corrected && correction(id).status === "flagged") return { colour: [1, 0.76, 0.2], faded };
  return { colour, faded };
}
