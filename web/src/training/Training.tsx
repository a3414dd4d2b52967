// Runs of the task: start one, watch its curves and findings, hold two against each other.
import { effect, signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { ask, get, query } from "../api";
import { heard, jobs } from "../live";
import { say, study, task, taskPath, tell } from "../state";
import type { Job } from "../types";
import { Curves } from "./Curves";

interface Metric {
  value: number | null;
  low?: number | null;
  high?: number | null;
  unit?: string;
  n?: number;
  reason?: string;
}
interface Run {
  name: string;
  time: number;
  finished: boolean;
  verdict: string | null;
  metrics: Record<string, Metric>;
  report: boolean;
  sampled: boolean;
}
interface Finding {
  rule: string;
  severity: string;
  epoch: number | null;
  evidence: string;
  causes: string[];
  remedy: string;
}
export interface Watched {
  columns: Record<string, (number | null)[]>;
  health: { verdict: string; findings: Finding[] } | null;
  finished: boolean;
}
interface Compared {
  metric: string;
  rows: { sample: string; first: number; second: number }[];
}

const runs = signal<Run[]>([]);
const chosen = signal<string | null>(null);
const against = signal<string | null>(null);
const watched = signal<Watched | null>(null);
const compared = signal<Compared | null>(null);

const load = async () => {
  runs.value = await get<Run[]>(`${taskPath()}/runs`);
  jobs.value = await get<Job[]>(`${taskPath()}/jobs`);
  if (!runs.value.some((run) => run.name === chosen.value)) chosen.value = runs.value[0]?.name ?? null;
};

export function Training() {
  useEffect(() => {
    load().catch(tell);
    const look = async (): Promise<void> => {
      const name = chosen.value;
      if (!name) return;
      const found = await get<Watched>(`${taskPath()}/runs/${encodeURIComponent(name)}/curves`).catch(() => null);
      if (chosen.value === name) watched.value = found;
    };
    const stops = [
      effect(() => void look()),
      effect(() => {
        if (heard.value?.kind === "job" && heard.value.state) load().then(look).catch(tell);
      }),
      effect(() => {
        compared.value = null;
        if (chosen.value && against.value) get<Compared>(`${taskPath()}/compare?${query({ first: chosen.value, second: against.value })}`).then((found) => (compared.value = found)).catch(tell);
      }),
    ];
    const timer = setInterval(() => {
      if (jobs.value.some((job) => job.state === "running")) load().then(look).catch(() => undefined);
    }, 2000);
    return () => (stops.forEach((stop) => stop()), clearInterval(timer));
  }, [task.value?.name]);
  const job = jobs.value.find((one) => one.name === `train ${task.value!.name}`);
  return (
    <main class="training">
      <nav class="runs" aria-label="Runs">
        {study.value!.role === "manage" && <Start job={job} />}
        <ul role="listbox" aria-label="Runs">
          {runs.value.map((run) => <Row key={run.name} run={run} />)}
        </ul>
        {runs.value.length === 0 && <p class="hint pad">No run of this task yet.</p>}
      </nav>
      <section class="board">{chosen.value ? <Board job={job} /> : <p class="hint">Start a run to see its curves here.</p>}</section>
    </main>
  );
}

function Start({ job }: { job?: Job }) {
  const running = job?.state === "running";
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const minutes = Number(form.get("minutes"));
    try {
      const name = String(form.get("name"));
      jobs.value = [await ask<Job>("POST", `${taskPath()}/runs`, { name, minutes: minutes > 0 ? minutes : null })];
      chosen.value = name;
      say(`Training ${name}`);
    } catch (error) {
      tell(error);
    }
  };
  return (
    <form class="start" onSubmit={submit}>
      <label class="field"><span>New run</span><input name="name" required pattern="[A-Za-z0-9][A-Za-z0-9_.\-]*" defaultValue={`run-${runs.value.length + 1}`} key={runs.value.length} /></label>
      <label class="field"><span>At most, minutes</span><input name="minutes" inputMode="decimal" placeholder="no limit" /></label>
      {running
        ? <button type="button" class="wide" onClick={() => ask("DELETE", `${taskPath()}/jobs?${query({ name: job.name })}`).catch(tell)}>Stop</button>
        : <button class="main wide">Train</button>}
    </form>
  );
}

function Row({ run }: { run: Run }) {
  const [name, metric] = Object.entries(run.metrics)[0] ?? [];
  return (
    <li role="option" aria-selected={run.name === chosen.value} class={run.name === chosen.value ? "chosen" : ""} onClick={() => (chosen.value = run.name)}>
      <span class="what"><b>{run.name}</b><small>{metric ? `${words(name)} ${figure(metric)}` : run.finished ? "" : "not finished"}</small></span>
      {run.verdict && <em class={`tag ${run.verdict}`}>{run.verdict}</em>}
    </li>
  );
}

function Board({ job }: { job?: Job }) {
  const run = runs.value.find((one) => one.name === chosen.value);
  const now = watched.value;
  const live = job?.state === "running" && job.run === chosen.value;
  return (
    <>
      <header class="title">
        <h1>{chosen.value}</h1>
        {live && <em class="tag live">training</em>}
        {run?.report && <a class="button" href={`${taskPath()}/runs/${encodeURIComponent(run.name)}/report`} target="_blank" rel="noopener">Report</a>}
      </header>
      {now && Object.keys(now.columns).length > 0 ? <Curves data={now} /> : <p class="hint">{live ? "The first epoch is on its way." : "This run kept no curves."}</p>}
      {live && job.lines.length > 0 && <pre class="lines" aria-live="polite">{job.lines.slice(-6).join("\n")}</pre>}
      {job?.state === "failed" && job.run === chosen.value && <pre class="lines bad">{job.lines.slice(-6).join("\n")}</pre>}
      {run && <Metrics run={run} />}
      {now?.health && <Findings now={now} />}
      <Compare />
    </>
  );
}

function Metrics({ run }: { run: Run }) {
  const shown = Object.entries(run.metrics).slice(0, 8);
  return shown.length ? (
    <dl class="metrics">
      {shown.map(([name, metric]) => (
        <div key={name}><dt>{words(name)}</dt><dd>{figure(metric)}</dd><small>{metric.low != null && metric.high != null ? `${short(metric.low)} – ${short(metric.high)}` : metric.reason ?? ""}</small></div>
      ))}
    </dl>
  ) : null;
}

function Findings({ now }: { now: Watched }) {
  const { verdict, findings } = now.health!;
  return (
    <section>
      <h2>Health <em class={`tag ${verdict}`}>{verdict}</em></h2>
      {findings.length === 0 && <p class="hint">Nothing was found wrong with this training.</p>}
      <ul class="findings">
        {findings.map((one, i) => (
          <li key={i} class={one.severity}>
            <p><b>{words(one.rule)}</b>{one.epoch !== null && ` · epoch ${one.epoch}`}</p>
            <p>{one.evidence}</p>
            <p class="hint">{one.remedy}</p>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Compare() {
  const others = runs.value.filter((run) => run.sampled && run.name !== chosen.value);
  if (!others.length || !runs.value.find((run) => run.name === chosen.value)?.sampled) return null;
  const found = compared.value;
  const most = Math.max(1e-9, ...(found?.rows ?? []).flatMap((row) => [row.first, row.second]));
  const rows = [...(found?.rows ?? [])].sort((a, b) => Math.abs(b.second - b.first) - Math.abs(a.second - a.first));
  const better = rows.filter((row) => row.first < row.second).length;
  return (
    <section>
      <h2>Sample by sample</h2>
      <label class="field inline pick"><span>against</span>
        <select value={against.value ?? ""} onChange={(e) => (against.value = e.currentTarget.value || null)}>
          <option value="">choose a run</option>
          {others.map((run) => <option key={run.name} value={run.name}>{run.name}</option>)}
        </select>
      </label>
      {found && (
        <>
          <p class="hint">{words(found.metric)}; lower in {chosen.value} for {better} of {rows.length} samples that both scored.</p>
          <table class="pairs">
            <thead><tr><th>sample</th><th>{chosen.value}</th><th>{against.value}</th><th aria-label="bars" /></tr></thead>
            <tbody>
              {rows.slice(0, 60).map((row) => (
                <tr key={row.sample}>
                  <td>{row.sample}</td><td>{short(row.first)}</td><td>{short(row.second)}</td>
                  <td class="bars"><i style={{ width: `${(100 * row.first) / most}%` }} /><i class="second" style={{ width: `${(100 * row.second) / most}%` }} /></td>
                </tr>
              ))}
            </tbody>
          </table>
        </>
      )}
    </section>
  );
}

const words = (name: string) => name.replaceAll("_", " ");
const short = (v: number) => (Math.abs(v) >= 100 ? v.toFixed(0) : v.toPrecision(3));
const figure = (m: Metric) => (m.value === null ? "–" : `${short(m.value)} ${m.unit ?? ""}`.trim());
