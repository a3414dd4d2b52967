// Requests to the server: JSON in and out, the page's secret on whatever changes something.
import type { Session, Values } from "./types";

export class Problem extends Error {
  constructor(
    readonly status: number,
    detail: string,
    readonly signIn?: "token" | "account",
    readonly current?: Values,
  ) {
    super(detail);
  }
}

let csrf = "";

export function remember(session: Session): Session {
  csrf = session.csrf;
  return session;
}

export async function ask<T>(method: string, path: string, body?: unknown): Promise<T> {
  const headers: Record<string, string> = { accept: "application/json" };
  if (body !== undefined) headers["content-type"] = "application/json";
  if (method !== "GET") headers["x-ethomorph-csrf"] = csrf;
  const response = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  if (response.status === 204) return undefined as T;
  const text = await response.text();
  let content: any;
  try {
    content = JSON.parse(text);
  } catch {
    throw new Problem(response.status, `the server answered ${response.status}`);
  }
  if (!response.ok) throw new Problem(response.status, content.detail ?? `${response.status}`, content.sign_in, content.current);
  return content as T;
}

export const get = <T>(path: string): Promise<T> => ask<T>("GET", path);

export function query(parts: Record<string, string | number | boolean | undefined>): string {
  const chosen = Object.entries(parts).filter(([, v]) => v !== undefined && v !== false && v !== 0 && v !== "");
  return new URLSearchParams(chosen.map(([k, v]) => [k, String(v)])).toString();
}

export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
}
