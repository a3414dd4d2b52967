// One of the three planes: grey picture, overlays, cross hair; the wheel goes through the slices.
import { computed, effect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { isPlain } from "../stage/light";
import { tell } from "../state";
import { labelsOf, sliceOf } from "./slices";
import { type Axis, type Zyx, base, choose, chosen, correction, cross, root, see, seeds, volume } from "./model";

const TITLES: Record<Axis, string> = { z: "Axial", y: "Coronal", x: "Sagittal" };
const ORDER: Axis[] = ["z", "y", "x"];

interface Drawn {
  picture: ImageBitmap;
  overlay: HTMLCanvasElement;
  ids: Uint16Array | null;
  box: { left: number; top: number; wide: number; high: number };
  size: [number, number]; // columns, rows
}

export function Pane({ axis }: { axis: Axis }) {
  const grey = useRef<HTMLCanvasElement>(null);
  const tint = useRef<HTMLCanvasElement>(null);
  const above = useRef<HTMLCanvasElement>(null);
  const drawn = useRef<Drawn | null>(null);
  const now = volume.value;
  const place = ORDER.indexOf(axis);
  const most = (now?.shape?.[place] ?? 1) - 1;
  useEffect(() => {
    const paint = () => drawn.current && lay(axis, grey.current!, tint.current!, above.current!, drawn.current);
    const index = computed(() => cross.value[place]); // a pane's own slice; the others only move the cross hair
    const watch = new ResizeObserver(paint);
    watch.observe(above.current!);
    let serial = 0;
    const stop = effect(() => {
      const mine = ++serial;
      void [volume.value, see.value, chosen.value, seeds.value];
      const at = index.value;
      load(axis, at)
        .then((found) => {
          if (mine !== serial || !found) return;
          drawn.current = { ...found, box: { left: 0, top: 0, wide: 1, high: 1 } };
          paint();
          above.current!.dataset.shown = `${at}`;
        })
        .catch(tell);
    });
    const stopHair = effect(() => {
      void [cross.value, seeds.value];
      if (drawn.current) hair(above.current!, axis, drawn.current);
    });
    const wheel = (event: WheelEvent) => {
      event.preventDefault();
      move(place, Math.sign(event.deltaY), (volume.value?.shape?.[place] ?? 1) - 1);
    };
    above.current!.addEventListener("wheel", wheel, { passive: false });
    return () => (stop(), stopHair(), watch.disconnect());
  }, [now?.item]);
  const point = (event: PointerEvent) => {
    if (event.type === "pointermove" && !(event.buttons & 1)) return;
    const at = drawn.current && voxel(axis, drawn.current, event, above.current!);
    if (!at) return;
    if (event.type === "pointerdown") pick(axis, drawn.current!, at);
    cross.value = at;
  };
  return (
    <div class={`pane ${axis}`}>
      <canvas ref={grey} style={{ filter: isPlain.value ? undefined : "url(#light)" }} aria-hidden="true" />
      <canvas ref={tint} aria-hidden="true" />
      <canvas
        ref={above} tabIndex={0} role="slider" aria-label={`${TITLES[axis]} slice`} aria-valuemin={0} aria-valuemax={most} aria-valuenow={cross.value[place]}
        onPointerDown={point} onPointerMove={point}
        onKeyDown={(event) => {
          const by = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10 }[event.key];
          if (!by) return;
          event.preventDefault();
          event.stopPropagation();
          move(place, by, most);
        }}
      />
      <p class="where"><b>{TITLES[axis]}</b> {cross.value[place]} / {most}</p>
    </div>
  );
}

function move(place: number, by: number, most: number): void {
  const next = [...cross.value] as Zyx;
  next[place] = Math.min(most, Math.max(0, next[place] + by));
  cross.value = next;
}

async function load(axis: Axis, index: number): Promise<Omit<Drawn, "box"> | null> {
  const now = volume.value;
  const place = ORDER.indexOf(axis);
  if (!now?.shape) return null;
  const size = [0, 1, 2].filter((i) => i !== place).map((i) => now.shape![i]);
  const { truth, prediction, disagreement } = see.value;
  const want = (which: "truth" | "prediction", on: boolean, at: number) => (on && now.segments[which] ? labelsOf(now.item, which, axis, at) : null);
  const all = (at: number) => Promise.all([
    sliceOf(now.item, axis, at),
    want("truth", truth || disagreement || base.value === "truth", at),
    want("prediction", prediction || disagreement || base.value === "prediction", at),
  ]);
  const [picture, own, other] = await all(index);
  const overlay = colour(axis, [size[1], size[0]], own, other, index);
  for (const ahead of [1, -1, 2, 3]) {
    if (index + ahead >= 0 && index + ahead < now.shape[place]) all(index + ahead).catch(() => undefined);
  }
  return { picture, overlay, ids: base.value === "truth" ? own : other, size: [size[1], size[0]] };
}

/** Segments in their colours with a firm edge; the chosen one brighter; a disagreement in red and blue. */
function colour(axis: Axis, [wide, high]: [number, number], truth: Uint16Array | null, other: Uint16Array | null, index: number): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = wide;
  canvas.height = high;
  const context = canvas.getContext("2d")!;
  const image = context.createImageData(wide, high);
  const pixels = new Uint32Array(image.data.buffer);
  const { truth: seeTruth, prediction: seeOther, disagreement, opacity } = see.value;
  const alpha = Math.round(255 * opacity);
  const layers: [Uint16Array | null, boolean, "truth" | "prediction"][] = [[truth, seeTruth, "truth"], [other, seeOther, "prediction"]];
  for (const [ids, on, which] of layers) {
    if (!ids || !on || disagreement) continue;
    const table = colours(which, alpha);
    const split = which === base.value ? splitter(axis, index, wide) : null;
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i];
      if (!id) continue;
      const x = i % wide;
      const edge = (x > 0 && ids[i - 1] !== id) || (x < wide - 1 && ids[i + 1] !== id) || ids[i - wide] !== id || ids[i + wide] !== id;
      if (which !== base.value && !edge) continue; // the other one as outlines only
      const tone = split?.(id, i) ?? table[id] ?? 0;
      pixels[i] = edge ? (tone | 0xff000000) >>> 0 : tone;
    }
  }
  if (disagreement && truth && other) differ(pixels, truth, other, Math.max(alpha, 140));
  context.putImageData(image, 0, 0);
  return canvas;
}

function colours(which: "truth" | "prediction", alpha: number): Uint32Array {
  const segments = volume.value!.segments[which] ?? [];
  const table = new Uint32Array(segments.length + 1);
  for (const segment of segments) {
    const id = which === base.value ? root(segment.id) : segment.id;
    const [r, g, b] = (volume.value!.segments[which]![id - 1].color ?? [1, 1, 1]).map((v) => Math.round(v * 255));
    const lit = which === base.value && chosen.value !== null && root(chosen.value) === id;
    const a = lit ? Math.min(255, alpha + 70) : chosen.value !== null && which === base.value ? Math.round(alpha * 0.75) : alpha;
    table[segment.id] = ((a << 24) | (b << 16) | (g << 8) | r) >>> 0;
  }
  return table;
}

const PARTS = [0x3c9dff, 0xffb02e, 0x7ee36c, 0xff7ac8, 0xb49bff];

/** Colours of the parts of segments that are split: each voxel goes to the seed that is nearest in mm. */
function splitter(axis: Axis, index: number, wide: number): ((id: number, i: number) => number | null) | null {
  const cut = new Map<number, Zyx[]>();
  for (const segment of volume.value!.segments[base.value] ?? []) {
    const own = segment.id === chosen.value && seeds.value ? seeds.value : correction(segment.id).seeds;
    if (own && own.length > 1) cut.set(segment.id, own);
  }
  if (!cut.size) return null;
  const [sx, sy, sz] = volume.value!.spacing!;
  return (id, i) => {
    const list = cut.get(id);
    if (!list) return null;
    const at = lift(axis, index, i % wide, Math.floor(i / wide));
    let best = 0;
    let least = Infinity;
    list.forEach((s, k) => {
      const gap = ((at[0] - s[0]) * sz) ** 2 + ((at[1] - s[1]) * sy) ** 2 + ((at[2] - s[2]) * sx) ** 2;
      if (gap < least) [best, least] = [k, gap];
    });
    const rgb = PARTS[best % PARTS.length];
    return ((200 << 24) | ((rgb & 0xff) << 16) | (rgb & 0xff00) | (rgb >> 16)) >>> 0;
  };
}

function differ(pixels: Uint32Array, truth: Uint16Array, other: Uint16Array, alpha: number): void {
  const names = (which: "truth" | "prediction") => ["", ...(volume.value!.segments[which] ?? []).map((s) => s.name)];
  const [own, theirs] = [names("truth"), names("prediction")];
  const pairs = new Map(volume.value!.instances.map((row) => [row.id, row.other]));
  for (let i = 0; i < truth.length; i++) {
    const [a, b] = [truth[i], other[i]];
    if (!a && !b) continue;
    if (a && b && (pairs.get(a) === b || own[a] === theirs[b])) continue;
    const rgb = a && !b ? 0x2f6bff : !a && b ? 0xff4b3a : 0xffc21f; // missed, invented, another one
    pixels[i] = ((alpha << 24) | ((rgb & 0xff) << 16) | (rgb & 0xff00) | (rgb >> 16)) >>> 0;
  }
}

function lift(axis: Axis, index: number, column: number, row: number): Zyx {
  if (axis === "z") return [index, row, column];
  return axis === "y" ? [row, index, column] : [row, column, index];
}

function scales(axis: Axis): [number, number] {
  const [sx, sy, sz] = volume.value!.spacing!;
  return axis === "z" ? [sx, sy] : axis === "y" ? [sx, sz] : [sy, sz];
}

function lay(axis: Axis, grey: HTMLCanvasElement, tint: HTMLCanvasElement, above: HTMLCanvasElement, drawn: Drawn): void {
  const ratio = devicePixelRatio || 1;
  const [wide, high] = [above.clientWidth, above.clientHeight];
  const [mx, my] = scales(axis);
  const zoom = Math.min((wide - 8) / (drawn.size[0] * mx), (high - 8) / (drawn.size[1] * my));
  const box = (drawn.box = {
    wide: drawn.size[0] * mx * zoom, high: drawn.size[1] * my * zoom,
    left: (wide - drawn.size[0] * mx * zoom) / 2, top: (high - drawn.size[1] * my * zoom) / 2,
  });
  for (const [canvas, picture] of [[grey, drawn.picture], [tint, drawn.overlay], [above, null]] as const) {
    const size = [Math.round(wide * ratio), Math.round(high * ratio)];
    if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
    const context = canvas.getContext("2d")!;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (!picture) continue;
    context.clearRect(0, 0, wide, high);
    context.imageSmoothingEnabled = canvas === grey;
    context.drawImage(picture, box.left, box.top, box.wide, box.high);
  }
  hair(above, axis, drawn);
}

const COLOURS: Record<Axis, string> = { z: "#ff6b5e", y: "#62d26f", x: "#5aa9ff" };

function hair(canvas: HTMLCanvasElement, axis: Axis, { box, size }: Drawn): void {
  const context = canvas.getContext("2d")!;
  context.clearRect(0, 0, canvas.clientWidth, canvas.clientHeight);
  const [z, y, x] = cross.value;
  const [column, row] = axis === "z" ? [x, y] : axis === "y" ? [x, z] : [y, z];
  const [across, down] = axis === "z" ? ["x", "y"] : axis === "y" ? ["x", "z"] : ["y", "z"];
  const px = box.left + ((column + 0.5) / size[0]) * box.wide;
  const py = box.top + ((row + 0.5) / size[1]) * box.high;
  context.globalAlpha = 0.75;
  context.lineWidth = 1;
  for (const [name, from, to] of [[across, [px, box.top], [px, box.top + box.high]], [down, [box.left, py], [box.left + box.wide, py]]] as const) {
    context.strokeStyle = COLOURS[name as Axis];
    context.beginPath();
    context.moveTo(from[0], from[1]);
    context.lineTo(to[0], to[1]);
    context.stroke();
  }
  context.globalAlpha = 1;
  const list = seeds.value ?? [];
  for (const [sz, sy, sx] of list) {
    const [c, r, off] = axis === "z" ? [sx, sy, Math.abs(sz - z)] : axis === "y" ? [sx, sz, Math.abs(sy - y)] : [sy, sz, Math.abs(sx - x)];
    context.beginPath();
    context.arc(box.left + ((c + 0.5) / size[0]) * box.wide, box.top + ((r + 0.5) / size[1]) * box.high, 6, 0, 2 * Math.PI);
    context.globalAlpha = off === 0 ? 1 : 0.45;
    context.fillStyle = "#ffffff";
    context.fill();
    context.strokeStyle = "#101418";
    context.lineWidth = 2;
    context.stroke();
    context.globalAlpha = 1;
  }
}

function voxel(axis: Axis, drawn: Drawn, event: PointerEvent, canvas: HTMLCanvasElement): Zyx | null {
  const bounds = canvas.getBoundingClientRect();
  const { box, size } = drawn;
  const column = Math.floor(((event.clientX - bounds.left - box.left) / box.wide) * size[0]);
  const row = Math.floor(((event.clientY - bounds.top - box.top) / box.high) * size[1]);
  if (column < 0 || row < 0 || column >= size[0] || row >= size[1]) return null;
  return lift(axis, cross.value[ORDER.indexOf(axis)], column, row);
}

function pick(axis: Axis, drawn: Drawn, at: Zyx): void {
  const [column, row] = axis === "z" ? [at[2], at[1]] : axis === "y" ? [at[2], at[0]] : [at[1], at[0]];
  const id = drawn.ids?.[row * drawn.size[0] + column] ?? 0;
  if (seeds.value) seeds.value = [...seeds.value, at];
  else if (id) choose(id);
}

