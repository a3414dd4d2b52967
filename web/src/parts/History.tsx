// Who changed what on this item, newest first.
import { effect, signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { get, query } from "../api";
import { stamp } from "../edits";
import { item, taskPath, tell } from "../state";
import type { LogEntry } from "../types";
import { Section } from "./Section";

const entries = signal<LogEntry[]>([]);

export function History() {
  useEffect(
    () =>
      effect(() => {
        const name = item.value;
        void stamp.value;
        if (!name) return;
        get<LogEntry[]>(`${taskPath()}/log?${query({ name, limit: 40 })}`)
          .then((found) => item.value === name && (entries.value = found))
          .catch(tell);
      }),
    [],
  );
  return (
    <Section title="History" note={`${entries.value.length || "no edits"}`} name="history">
      <ol class="log">{entries.value.map((entry) => <Entry key={entry.id} entry={entry} />)}</ol>
    </Section>
  );
}

export function Entry({ entry, withItem }: { entry: LogEntry; withItem?: boolean }) {
  const when = new Date(entry.time);
  return (
    <li class={entry.reverted ? "reverted" : ""}>
      <p>
        <b>{entry.person}</b> {entry.kind === "edit" ? "" : `${entry.kind} `}
        <time dateTime={entry.time} title={when.toLocaleString()}>{ago(when)}</time>
      </p>
      {withItem && <p class="item">{entry.item}</p>}
      {entry.changes.slice(0, 4).map((change) => (
        <p class="change" key={change.field}>
          <span>{change.field.replace(/^point:/, "")}</span> {brief(change.before)} <span aria-label="to">→</span> {brief(change.after)}
        </p>
      ))}
      {entry.changes.length > 4 && <p class="change">and {entry.changes.length - 4} more</p>}
    </li>
  );
}

export function brief(value: any): string {
  if (value === null || value === undefined) return "none";
  if (Array.isArray(value) && value.every((v) => typeof v === "number")) return value.map((v) => v.toFixed(1)).join(", ");
  if (typeof value === "object" && "mm_per_px" in value) return `${value.mm_per_px.toPrecision(4)} mm/px`;
  if (typeof value === "object") return JSON.stringify(value).slice(0, 60);
  return String(value).slice(0, 60);
}

function ago(when: Date): string {
  const seconds = (Date.now() - when.getTime()) / 1000;
  if (seconds < 60) return "just now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return when.toLocaleDateString(undefined, { day: "numeric", month: "short", year: "numeric" });
}
