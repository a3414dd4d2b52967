// What the whole page shares: who is signed in, which study and task is open, and its queue.
import { batch, computed, signal } from "@preact/signals";
import { Problem, get } from "./api";
import type { Queue, QueueRow, Session, StudyShown, TaskShown } from "./types";

export const session = signal<Session | null>(null);
export const signIn = signal<"token" | "account" | null>(null);
export const study = signal<StudyShown | null>(null);
export const task = signal<TaskShown | null>(null);
export const queue = signal<Queue | null>(null);
export const item = signal<string | null>(null);
export const page = signal<"desk" | "training">("desk");
export const toast = signal<{ text: string; tone: "plain" | "bad" } | null>(null);
export const dialog = signal<string | null>(null);

export const mayEdit = computed(() => study.value !== null && study.value.role !== "look");

export const studyPath = () => `/api/studies/${encodeURIComponent(study.value!.slug)}`;
export const taskPath = () => `${studyPath()}/tasks/${encodeURIComponent(task.value!.name)}`;

export interface Filter {
  text: string;
  show: "all" | "open" | "needs" | "flagged" | "done" | "mine";
  grade: string;
}
export const filter = signal<Filter>({ text: "", show: "all", grade: "" });

export const rows = computed<QueueRow[]>(() => {
  const all = queue.value?.items ?? [];
  const { text, show, grade } = filter.value;
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const me = session.value?.person;
  return all.filter((row) => {
    if (show === "open" && row.status === "done") return false;
    if (show === "needs" && (row.need < 0.3 || row.status === "done")) return false;
    if (show === "flagged" && row.status !== "flagged") return false;
    if (show === "done" && row.status !== "done") return false;
    if (show === "mine" && row.assigned !== me) return false;
    if (grade === "none" ? row.grade !== null : grade && row.grade !== grade) return false;
    const hay = `${row.item} ${row.group ?? ""} ${row.part ?? ""} ${row.assigned ?? ""} ${row.reasons.join(" ")}`.toLowerCase();
    return words.every((word) => hay.includes(word));
  });
});

export const progress = computed(() => {
  const all = queue.value?.items ?? [];
  return { done: all.filter((row) => row.status === "done").length, all: all.length };
});

export function say(text: string, tone: "plain" | "bad" = "plain"): void {
  const shown = { text, tone };
  toast.value = shown;
  setTimeout(() => {
    if (toast.value === shown) toast.value = null;
  }, tone === "bad" ? 7000 : 3200);
}

export function tell(error: unknown): void {
  if (error instanceof Problem && error.status === 401) {
    session.value = null;
    signIn.value = error.signIn ?? "token";
  } else say(error instanceof Error ? error.message : String(error), "bad");
}

/** Fetch the queue; `keepOrder` leaves rows where they are, so that nothing jumps under a person's hand. */
export async function loadQueue(keepOrder = false): Promise<void> {
  const asked = task.value;
  const fresh = await get<Queue>(`${taskPath()}/queue`);
  if (task.value !== asked) return;
  if (keepOrder && queue.value) {
    const place = new Map(queue.value.items.map((row, i) => [row.item, i]));
    fresh.items.sort((a, b) => (place.get(a.item) ?? 1e9) - (place.get(b.item) ?? 1e9));
  }
  queue.value = fresh;
}

export function patchRow(name: string, change: Partial<QueueRow>): void {
  const now = queue.value;
  if (now) queue.value = { ...now, items: now.items.map((row) => (row.item === name ? { ...row, ...change } : row)) };
}

export function openTask(inStudy: StudyShown, chosen: TaskShown): void {
  batch(() => {
    study.value = inStudy;
    task.value = chosen;
    queue.value = null;
    item.value = null;
    filter.value = { text: "", show: "all", grade: "" };
  });
  loadQueue()
    .then(() => {
      const wanted = place().get("item");
      const known = queue.value?.items.some((row) => row.item === wanted);
      open(known ? wanted! : (queue.value?.items[0]?.item ?? null));
    })
    .catch(tell);
}

/** The address bar's fragment: study, task and item, so that a reload comes back to the same place. */
export function place(): URLSearchParams {
  return new URLSearchParams(location.hash.slice(1));
}

export function open(name: string | null): void {
  item.value = name;
  const parts = new URLSearchParams({ study: study.value?.slug ?? "", task: task.value?.name ?? "" });
  if (name) parts.set("item", name);
  history.replaceState(null, "", `#${parts}`);
}

export function step(by: number): void {
  const list = rows.value;
  if (!list.length) return;
  const at = list.findIndex((row) => row.item === item.value);
  const next = at < 0 ? 0 : Math.min(list.length - 1, Math.max(0, at + by));
  if (list[next].item !== item.value) open(list[next].item);
}
