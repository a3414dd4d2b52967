// The tree of all trails, and the line that cuts it: below the line branches are animals, each in a colour of its own.
import { useEffect, useRef, useState } from "preact/hooks";
import { item, mayEdit } from "../state";
import { cutTo, draft, groups, height, layout, paint, pick, picked, saveCut, tree } from "./model";

const PAD = { left: 46, right: 22, top: 16, bottom: 84 };
const NARROW = 13; // px a leaf, below which the tree is scrolled sideways

export function Tree() {
  const host = useRef<HTMLDivElement>(null);
  const [size, setSize] = useState<[number, number]>([800, 300]);
  useEffect(() => {
    const watch = new ResizeObserver(() => setSize([host.current!.clientWidth, host.current!.clientHeight]));
    watch.observe(host.current!);
    return () => watch.disconnect();
  }, []);
  const now = tree.value;
  const place = layout.value;
  if (!now || !place) return <div class="tree" ref={host} />;
  const n = now.trails.length;
  const step = Math.max(NARROW, (size[0] - PAD.left - PAD.right) / n);
  const wide = PAD.left + PAD.right + n * step;
  const high = Math.max(120, size[1] - 2);
  const floor = high - PAD.bottom;
  const x = (node: number) => PAD.left + (place.x[node] + 0.5) * step;
  const y = (at: number) => floor - (at / place.top) * (floor - PAD.top);
  return (
    <div class="tree" ref={host}>
      <div class="wood">
        <svg width={wide} height={high} role="img" aria-label={`Tree of ${n} trails; ${groups.value.count} animals at the cut`}>
          <Interval x={PAD.left} wide={wide - PAD.left - PAD.right} y={y} />
          {[0, 0.5, 1].map((t) => (
            <g key={t} class="tick"><line x1={PAD.left - 4} x2={PAD.left} y1={y((t * place.top) / 1.08)} y2={y((t * place.top) / 1.08)} /><text x={PAD.left - 8} y={y((t * place.top) / 1.08) + 4} text-anchor="end">{((t * place.top) / 1.08).toPrecision(2)}</text></g>
          ))}
          {now.linkage.map(([a, b, at], i) => {
            const group = groups.value.nodes[n + i];
            const low = (node: number) => (node < n ? 0 : now.linkage[node - n][2]);
            return (
              <g key={i} class={group < 0 ? "above" : "below"} style={group < 0 ? undefined : { stroke: paint(group) }}>
                <path d={`M${x(a)} ${y(at)}H${x(b)}`} />
                <Leg at={x(a)} from={y(low(a))} to={y(at)} group={groups.value.nodes[a]} whole={group >= 0} />
                <Leg at={x(b)} from={y(low(b))} to={y(at)} group={groups.value.nodes[b]} whole={group >= 0} />
              </g>
            );
          })}
          {place.order.map((leaf) => <Leaf key={leaf} leaf={leaf} x={x(leaf)} y={floor} />)}
        </svg>
      </div>
      <Line y={y} at={(py) => ((floor - py) / (floor - PAD.top)) * place.top} top={place.top} />
    </div>
  );
}

/** A branch's way up to its merge: in its animal's colour as far as the cut. */
function Leg({ at, from, to, group, whole }: { at: number; from: number; to: number; group: number; whole: boolean }) {
  return <path d={`M${at} ${from}V${to}`} style={!whole && group >= 0 ? { stroke: paint(group) } : undefined} />;
}

function Leaf({ leaf, x, y }: { leaf: number; x: number; y: number }) {
  const now = tree.value!;
  const name = now.trails[leaf];
  const pair = item.value?.split(now.between) ?? [];
  const role = picked.value === leaf ? "picked" : name === pair[0] ? "a" : name === pair.at(-1) ? "b" : "";
  const short = name.length > 13 ? `${name.slice(0, 12)}…` : name;
  return (
    <g class={`leaf ${role}`} onClick={() => pick(leaf)}>
      <title>{`${name}, ${now.prints[leaf]} prints${now.sites[leaf] ? `, ${now.sites[leaf]}` : ""}`}</title>
      <rect x={x - 8} y={y} width="16" height={PAD.bottom - 2} />
      <circle cx={x} cy={y + 6} r="3.5" style={{ fill: paint(groups.value.of[leaf]) }} />
      <text transform={`translate(${x + 4} ${y + 15}) rotate(-90)`} text-anchor="end">{short}</text>
    </g>
  );
}

/** The heights at which the tree has as many animals as the count's 95 % interval allows. */
function Interval({ x, wide, y }: { x: number; wide: number; y: (at: number) => number }) {
  const { low, high } = tree.value!.individuals;
  if (low == null || high == null) return null;
  const n = tree.value!.trails.length;
  const steps = [0, ...layout.value!.heights, layout.value!.top];
  const from = steps[Math.max(0, n - Math.min(n, Math.floor(high)))];
  const to = steps[Math.min(steps.length - 1, n - Math.max(1, Math.ceil(low)) + 1)];
  return <rect class="interval" x={x} width={wide} y={y(to)} height={Math.max(0, y(from) - y(to))}><title>{`95 % interval of the count: ${low} to ${high} animals`}</title></rect>;
}

interface LineProps {
  y: (at: number) => number;
  at: (y: number) => number;
  top: number;
}

function Line({ y, at, top }: LineProps) {
  const line = useRef<HTMLDivElement>(null);
  const count = groups.value.count;
  const move = (event: PointerEvent) => {
    if (!line.current!.hasPointerCapture(event.pointerId)) return;
    const box = line.current!.parentElement!.getBoundingClientRect();
    draft.value = Math.min(top, Math.max(0, at(event.clientY - box.top)));
  };
  const drop = (event: PointerEvent) => {
    if (!line.current!.hasPointerCapture(event.pointerId)) return;
    line.current!.releasePointerCapture(event.pointerId);
    if (draft.value !== null) saveCut(draft.value);
  };
  return (
    <div
      ref={line} class="cut" style={{ transform: `translateY(${y(height.value) - 11}px)` }} role="slider" tabIndex={mayEdit.value ? 0 : -1}
      aria-label="Cut of the tree" aria-orientation="vertical" aria-valuemin={1} aria-valuemax={tree.value!.trails.length}
      aria-valuenow={count} aria-valuetext={`${count} animals`} aria-disabled={!mayEdit.value}
      onPointerDown={(event) => mayEdit.value && line.current!.setPointerCapture(event.pointerId)}
      onPointerMove={move} onPointerUp={drop} onPointerCancel={drop}
      onKeyDown={(event) => {
        const by = { ArrowUp: -1, ArrowDown: 1, PageUp: -5, PageDown: 5 }[event.key];
        if (!by || !mayEdit.value) return;
        event.preventDefault();
        event.stopPropagation();
        cutTo(Math.min(tree.value!.trails.length, Math.max(1, count + by)));
      }}
    >
      <output>{count} animal{count === 1 ? "" : "s"}</output>
    </div>
  );
}
