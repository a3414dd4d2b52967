// Two trails side by side: their prints, the measures that tell animals apart, and both in canonical space.
import { useState } from "preact/hooks";
import { query } from "../api";
import { Dialog } from "../parts/Dialog";
import { taskPath } from "../state";
import { type Measure, type PairDetail, TONES, type Trail, groups, likelier, paint, tree } from "./model";

export function Pair({ now }: { now: PairDetail }) {
  const [large, setLarge] = useState<string | null>(null);
  const [a, b] = now.trails;
  return (
    <div class="pair">
      <header>
        <h1><span style={{ color: "var(--a)" }}>{a.name}</span> and <span style={{ color: "var(--b)" }}>{b.name}</span></h1>
        <p><b>{likelier(now.score)}</b>{now.score !== null && ` (log-likelihood ratio ${now.score.toFixed(2)})`}</p>
        {now.need.reasons.length > 0 && <ul class="reasons plain" aria-label="Why it needs a look">{now.need.reasons.map((one) => <li key={one}>{one}</li>)}</ul>}
      </header>
      <div class="sides">
        <Side trail={a} which="a" open={setLarge} />
        <Side trail={b} which="b" open={setLarge} />
      </div>
      <div class="plots">
        {now.measures.length > 0 && <Measures rows={now.measures} />}
        {now.canonical && <Canonical points={now.canonical} />}
      </div>
      {large !== null && (
        <Dialog title={large} close={() => setLarge(null)} wide><img class="large" src={pictureUrl(large, 1400)} alt={`Print ${large}`} /></Dialog>
      )}
    </div>
  );
}

const pictureUrl = (name: string, width: number) => `${taskPath()}/prints/picture?${query({ name, width })}`;

function Side({ trail, which, open }: { trail: Trail; which: "a" | "b"; open: (name: string) => void }) {
  const animal = groups.value.of[tree.value?.trails.indexOf(trail.name) ?? 0] ?? 0;
  const facts = [`${trail.prints} prints`, ...Object.values(trail.known)];
  return (
    <section class={`side ${which}`} aria-label={`Trail ${trail.name}`}>
      <p class="facts-line">{facts.join(" · ")}<em class="tag"><i style={{ background: paint(animal) }} />animal {animal + 1} at the cut</em></p>
      <ul class="strip">
        {trail.pictures.filter((one) => one.there).map((one) => (
          <li key={one.name}><button aria-label={`Print ${one.name}, larger`} onClick={() => open(one.name)}><img src={pictureUrl(one.name, 240)} alt="" loading="lazy" /></button></li>
        ))}
      </ul>
      {!trail.pictures.some((one) => one.there) && <p class="hint">No pictures of these prints; <code>identify --images</code> says where they are.</p>}
    </section>
  );
}

const ROW = 26;
const LABEL = 178;
const WIDE = 560;

function Measures({ rows }: { rows: Measure[] }) {
  return (
    <figure class="measures">
      <svg viewBox={`0 0 ${WIDE} ${rows.length * ROW + 4}`} role="img" aria-label="Measures of both trails beside all prints">
        {rows.map((row, i) => {
          const span = row.most - row.least || 1;
          const x = (v: number) => LABEL + 8 + ((v - row.least) / span) * (WIDE - LABEL - 16);
          const middle = i * ROW + ROW / 2 + 2;
          return (
            <g key={row.name}>
              <text x={LABEL - 6} y={middle + 4} text-anchor="end"><title>{row.name}</title>{brief(row.name)}</text>
              <line class="grid" x1={LABEL} x2={WIDE} y1={middle} y2={middle} />
              <rect class="usual" x={x(row.low)} width={Math.max(1, x(row.high) - x(row.low))} y={middle - 8} height="16" rx="3" />
              {row.a.map((v, k) => <circle key={k} cx={x(v)} cy={middle - 4} r="3.2" fill={TONES.a} />)}
              {row.b.map((v, k) => <circle key={k} cx={x(v)} cy={middle + 4} r="3.2" fill={TONES.b} />)}
            </g>
          );
        })}
      </svg>
      <figcaption><span><i style={{ background: TONES.a }} />first trail</span><span><i style={{ background: TONES.b }} />second trail</span><span><i class="usual" />middle 95 % of all prints</span></figcaption>
    </figure>
  );
}

const brief = (name: string) => (name.length > 27 ? `${name.slice(0, 26)}…` : name);

const SIDE = 300;

function Canonical({ points }: { points: NonNullable<PairDetail["canonical"]> }) {
  const ellipses = { a: spread(points.a), b: spread(points.b) };
  const corners = Object.values(ellipses).flatMap((e) => [1, -1].map((sign) => e.centre.map((v, k) => v + sign * e.reach[k])));
  const all = [...points.a, ...points.b, ...points.others, ...corners];
  const [least, most] = [0, 1].map((k) => all.map((p) => p[k])).reduce<[number[], number[]]>(([low, high], values) => [[...low, Math.min(...values)], [...high, Math.max(...values)]], [[], []]);
  const span = Math.max(most[0] - least[0], most[1] - least[1]) || 1;
  const at = (p: number[]): [number, number] => [20 + ((p[0] - (least[0] + most[0]) / 2) / span + 0.5) * (SIDE - 40), 20 + (0.5 - (p[1] - (least[1] + most[1]) / 2) / span) * (SIDE - 40)];
  const scale = (SIDE - 40) / span;
  return (
    <figure class="canonical">
      <svg viewBox={`0 0 ${SIDE} ${SIDE}`} role="img" aria-label="Prints of both trails on the two axes that part them best">
        {points.others.map((p, i) => { const [x, y] = at(p); return <circle key={i} class="other" cx={x} cy={y} r="2" />; })}
        {(["a", "b"] as const).map((which) => {
          const ellipse = ellipses[which];
          const [x, y] = at(ellipse.centre);
          return (
            <g key={which}>
              <ellipse cx={x} cy={y} rx={ellipse.long * scale} ry={ellipse.short * scale} transform={`rotate(${(-ellipse.angle * 180) / Math.PI} ${x} ${y})`} fill={TONES[which]} fill-opacity="0.13" stroke={TONES[which]} />
              {points[which].map((p, i) => { const [px, py] = at(p); return <circle key={i} cx={px} cy={py} r="3.6" fill={TONES[which]} />; })}
            </g>
          );
        })}
      </svg>
      <figcaption>Canonical axes of this pair; ellipses hold 95 % of a trail's prints.</figcaption>
    </figure>
  );
}

/** Centre and half axes of the ellipse that holds 95 % of a Gaussian with these points' mean and covariance. */
function spread(points: [number, number][]) {
  const n = Math.max(points.length, 2);
  const centre = [0, 1].map((k) => points.reduce((sum, p) => sum + p[k], 0) / points.length);
  const [xx, yy, xy] = [[0, 0], [1, 1], [0, 1]].map(([i, j]) => points.reduce((sum, p) => sum + (p[i] - centre[i]) * (p[j] - centre[j]), 0) / (n - 1));
  const middle = (xx + yy) / 2;
  const half = Math.hypot((xx - yy) / 2, xy);
  const root = (v: number) => Math.sqrt(5.991 * Math.max(v, 0));
  return { centre, reach: [root(xx), root(yy)], long: root(middle + half), short: root(middle - half), angle: Math.atan2(2 * xy, xx - yy) / 2 };
}
