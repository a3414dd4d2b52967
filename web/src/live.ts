// The stream of events of a study: edits by others, a better order of the queue, work going on.
import { signal } from "@preact/signals";
import { detail, renew, settle } from "./edits";
import { item, loadQueue, say, session, studyPath, task, taskPath, tell } from "./state";
import type { Job } from "./types";

export const jobs = signal<Job[]>([]);
export const heard = signal<{ kind: string; [key: string]: unknown } | null>(null);

let source: EventSource | null = null;

export function listen(): void {
  source?.close();
  source = new EventSource(`${studyPath()}/events`);
  let lost = false;
  source.onerror = () => {
    lost = true;
  };
  source.onopen = () => {
    if (lost) refresh();
    lost = false;
  };
  source.onmessage = (message) => hear(JSON.parse(message.data));
}

function hear(event: any): void {
  heard.value = event;
  if (event.kind === "edit" && event.task === task.value?.name) {
    if (event.person !== session.value?.person || event.item !== item.value) {
      settle({ edit: event.edit, item: event.item, values: event.values }, true);
      if (event.item === item.value) say(`${event.person} changed this ${"item"}`);
    }
  } else if (event.kind === "ready" && event.task === task.value?.name) {
    loadQueue(detailTouched()).then(refreshDetail).catch(tell);
  } else if (event.kind === "written" && event.task === task.value?.name) {
    refresh();
  } else if (event.kind === "job") {
    jobs.value = jobs.value.map((job) =>
      job.name !== event.name ? job
        : { ...job, state: event.state ?? job.state, lines: event.line ? [...job.lines, event.line].slice(-60) : job.lines },
    );
    if (event.state === "done") {
      say(`${event.name}: done`);
      refresh();
    } else if (event.state === "failed") say(`${event.name} failed: ${jobs.value.find((j) => j.name === event.name)?.lines.at(-1) ?? ""}`, "bad");
  }
}

const detailTouched = () => Object.values(detail.value?.values ?? {}).some((held: any) => held.revision > 0);

const refreshDetail = () => (item.value ? renew(taskPath(), item.value) : Promise.resolve());

function refresh(): void {
  if (task.value) loadQueue(true).then(refreshDetail).catch(tell);
}
