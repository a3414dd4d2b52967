// Curves over epochs: losses in one picture, the metric in another.
import type { Watched } from "./Training";

const WIDE = 640;
const HIGH = 220;
const PAD = { left: 52, right: 14, top: 12, bottom: 26 };
const TONES = ["var(--accent)", "#d1495b", "#edae49", "#3c7a57", "#7a5195", "#8d99ae"];

export function Curves({ data }: { data: Watched }) {
  const names = Object.keys(data.columns).filter((n) => !/^(epoch|step|seconds|steps)$/.test(n) && !/rate|seconds|memory/.test(n));
  const losses = names.filter((n) => /loss/.test(n)).slice(0, 4);
  const metrics = names.filter((n) => !/loss/.test(n) && data.columns[n].some((v) => v !== null)).slice(0, 4);
  const x = (data.columns.epoch ?? data.columns.step ?? []).map((v, i) => v ?? i);
  return (
    <div class="curves">
      {[losses, metrics].filter((list) => list.length).map((list) => <Plot key={list.join()} names={list} columns={data.columns} x={x} log={list === losses} />)}
    </div>
  );
}

interface PlotProps {
  names: string[];
  columns: Watched["columns"];
  x: number[];
  log: boolean;
}

function Plot({ names, columns, x, log }: PlotProps) {
  const all = names.flatMap((n) => columns[n]).filter((v): v is number => v !== null && (!log || v > 0));
  if (!all.length) return null;
  const at = log && Math.min(...all) > 0 && Math.max(...all) / Math.min(...all) > 20 ? Math.log10 : (v: number) => v;
  const [low, high] = [Math.min(...all.map(at)), Math.max(...all.map(at))];
  const span = high - low || 1;
  const most = Math.max(1, ...x, columns[names[0]].length - 1);
  const least = Math.min(...x, most);
  const px = (i: number) => PAD.left + (((x[i] ?? i) - least) / Math.max(1e-9, most - least)) * (WIDE - PAD.left - PAD.right);
  const py = (v: number) => PAD.top + (1 - (at(v) - low) / span) * (HIGH - PAD.top - PAD.bottom);
  const ticks = [0, 0.5, 1].map((t) => low + t * span);
  return (
    <figure>
      <svg viewBox={`0 0 ${WIDE} ${HIGH}`} role="img" aria-label={`Curves of ${names.join(", ")}`}>
        {ticks.map((t) => {
          const y = PAD.top + (1 - (t - low) / span) * (HIGH - PAD.top - PAD.bottom);
          return (
            <g key={t}>
              <line x1={PAD.left} x2={WIDE - PAD.right} y1={y} y2={y} class="grid" />
              <text x={PAD.left - 8} y={y + 4} text-anchor="end">{(at === Math.log10 ? 10 ** t : t).toPrecision(3)}</text>
            </g>
          );
        })}
        <text x={PAD.left} y={HIGH - 6}>{least}</text>
        <text x={WIDE - PAD.right} y={HIGH - 6} text-anchor="end">epoch {most}</text>
        {names.map((n, k) => (
          <polyline key={n} fill="none" stroke={TONES[k]} stroke-width="2" points={columns[n].flatMap((v, i) => (v === null || (at === Math.log10 && v <= 0) ? [] : [`${px(i).toFixed(1)},${py(v).toFixed(1)}`])).join(" ")} />
        ))}
      </svg>
      <figcaption>{names.map((n, k) => <span key={n}><i style={{ background: TONES[k] }} />{n.replaceAll("_", " ")}</span>)}</figcaption>
    </figure>
  );
}
