// Edits on their way to the server: shown at once, sent in order, sent again under the same key until acknowledged.
import { computed, signal } from "@preact/signals";
import { Problem, ask, newKey } from "./api";
import { item, loadQueue, patchRow, say, taskPath, tell } from "./state";
import type { Stored, Values } from "./types";

export const detail = signal<any>(null);
const waiting = signal(0);
export const offline = signal(false);
export const saving = computed(() => (offline.value ? "offline" : waiting.value ? "saving" : "saved"));

interface Pending {
  path: string;
  item: string;
  key: string;
  fields: string[];
  send: () => { method: string; path: string; body: Record<string, unknown> };
}

let chain: Promise<unknown> = Promise.resolve();
/** What the server has not acknowledged yet. */
const underway = new Set<Pending>();
/** Fields that the queue shows, by the name that its rows have for them. */
const IN_ROW: Record<string, string> = { grade: "grade", verdict: "grade", status: "status", assigned: "assigned" };
const rowOf = (fields: [string, unknown][]) => Object.fromEntries(fields.flatMap(([f, value]) => (f in IN_ROW ? [[IN_ROW[f], value]] : [])));

/** The last value of a field that is shown, acknowledged or not. */
export function valueOf<V>(field: string): V {
  return detail.value?.values[field]?.value as V;
}

/** Change fields of the item that is open. */
export function change(changes: Record<string, unknown>): Promise<void> {
  const now = detail.value;
  if (!now) return Promise.resolve();
  const name: string = now.item;
  const values: Values = { ...now.values };
  for (const [field, value] of Object.entries(changes)) {
    values[field] = { value, revision: values[field]?.revision ?? 0 };
  }
  detail.value = { ...now, values };
  return changeOf(name, changes);
}

/** Change fields of any item of the task; the revisions that were seen are the open item's, or those of `bases`. */
export function changeOf(name: string, changes: Record<string, unknown>, bases?: () => Record<string, number>): Promise<void> {
  const path = taskPath();
  patchRow(name, { ...rowOf(Object.entries(changes)), edited: true });
  return enqueue({
    path, item: name, key: newKey(), fields: Object.keys(changes),
    send() {
      const revisions = detail.value?.item === name ? detail.value.values : {};
      const list = Object.entries(changes).map(([field, value]) => ({
        field, value, base: bases?.()[field] ?? revisions[field]?.revision ?? 0,
      }));
      return { method: "POST", path: `${path}/edits`, body: { changes: list } };
    },
  });
}

export function turn(which: "undo" | "redo", name = item.value): Promise<void> {
  if (!name) return Promise.resolve();
  const path = taskPath();
  return enqueue({ path, item: name, key: newKey(), fields: [], send: () => ({ method: "POST", path: `${path}/${which}`, body: {} }) }, (stored) => {
    if (stored.edit === null) say(which === "undo" ? "Nothing left to undo here" : "Nothing to redo");
  });
}

function enqueue(one: Pending, then?: (stored: Stored) => void): Promise<void> {
  waiting.value += 1;
  underway.add(one);
  const done = chain.then(() => deliver(one)).then((stored) => void (stored && then?.(stored))).catch(tell).finally(() => {
    underway.delete(one);
    waiting.value -= 1;
  });
  chain = done;
  return done;
}

/** Send until there is an answer; the key makes the server store it once, however often it arrives. */
async function deliver(one: Pending): Promise<Stored | null> {
  const { method, path, body } = one.send();
  for (let pause = 250; ; pause = Math.min(pause * 1.6, 4000)) {
    try {
      const stored = await ask<Stored>(method, path, { ...body, item: one.item, key: one.key });
      offline.value = false;
      underway.delete(one);
      settle(stored);
      return stored;
    } catch (error) {
      if (error instanceof Problem && error.status < 500 && error.status !== 429) {
        underway.delete(one);
        await restore(one, error);
        return null;
      }
      offline.value = true;
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}

/** What was stored last, of whatever item. */
export const last = signal<Stored | null>(null);

/** Fields of an item that a hand has changed since: what is shown of them is newer than any answer. */
const ahead = (name: string) => new Set([...underway].filter((one) => one.item === name).flatMap((one) => one.fields));

/** Take over what the server has stored, of this page or (`theirs`) of another; a change underway to the same field is
 * kept in sight, and meets the other's at the server as a conflict. */
export function settle(stored: Stored, theirs = false): void {
  last.value = stored;
  patchRow(stored.item, { ...rowOf(Object.entries(stored.values).map(([f, held]) => [f, held.value])), edited: true });
  const now = detail.value;
  if (!now || now.item !== stored.item) return;
  const mine = ahead(stored.item);
  const values: Values = { ...now.values };
  for (const [field, held] of Object.entries(stored.values)) {
    if (!mine.has(field)) values[field] = held;
    else if (!theirs) values[field] = { ...values[field], revision: held.revision };
  }
  detail.value = { ...now, values };
  stamp.value += 1;
}

/** Counts what the server stored, so that logs and measures look again. */
export const stamp = signal(0);

async function restore(one: Pending, error: Problem): Promise<void> {
  say(error.message, "bad");
  await (detail.value?.item === one.item ? renew(one.path, one.item) : loadQueue(true));
}

/** Ask for the open item again; fields whose changes are underway stay as they are shown. */
export async function renew(path: string, name: string): Promise<void> {
  const fresh = await ask<any>("GET", `${path}/item?name=${encodeURIComponent(name)}`);
  const now = detail.value;
  if (now?.item !== name) return;
  const kept = Object.fromEntries([...ahead(name)].filter((f) => f in now.values).map((f) => [f, now.values[f]]));
  detail.value = { ...now, ...fresh, values: { ...fresh.values, ...kept } };
}

addEventListener("beforeunload", (event) => {
  if (waiting.value) event.preventDefault();
});
