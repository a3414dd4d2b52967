// What the server says, in the names of its OpenAPI document.

export type Role = "look" | "annotate" | "manage";

export interface TaskShown {
  name: string;
  kind: string;
}

export interface StudyShown {
  slug: string;
  name: string;
  role: Role;
  tasks: TaskShown[];
  run: string | null;
  trains: boolean;
}

export interface Session {
  person: string;
  csrf: string;
  how: "token" | "account";
  version: string;
  studies: StudyShown[];
}

export interface QueueRow {
  item: string;
  need: number;
  reasons: string[];
  grade: string | null;
  status: string | null;
  assigned: string | null;
  group: string | null;
  part: string | null;
  edited: boolean;
}

export interface Queue<S = Record<string, unknown>> {
  ready: boolean;
  items: QueueRow[];
  scheme: S;
  edits: Record<string, number>;
}

export interface Held<V = unknown> {
  value: V;
  revision: number;
}

export type Values = Record<string, Held>;

export interface Stored {
  edit: number | null;
  item: string;
  values: Values;
}

export interface LogEntry {
  id: number;
  item: string;
  person: string;
  time: string;
  kind: string;
  target: number | null;
  reverted: boolean;
  changes: { field: string; before: unknown; after: unknown }[];
}

export interface Detail {
  item: string;
  label: string;
  values: Values;
  native: Record<string, unknown>;
  need: { amount: number; reasons: string[] };
}

export interface Job {
  name: string;
  what: string;
  state: "running" | "done" | "failed" | "stopped";
  lines: string[];
  run: string | null;
}

export type Xy = [number, number];
