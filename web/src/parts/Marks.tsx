// What a person thinks of an item: grade, done or flagged, who looks at it, a note.
import { change, detail, turn, valueOf } from "../edits";
import { mayEdit, queue, session } from "../state";
import { Icon } from "./Icon";

export function Marks({ grades = [], done = true, children }: { grades?: string[]; done?: boolean; children?: any }) {
  const status = valueOf<string | null>("status");
  const grade = valueOf<string | null>("grade");
  const off = !mayEdit.value;
  return (
    <div class="marks">
      {grades.length > 0 && (
        <div class="segments" role="group" aria-label="Grade">
          {grades.map((one) => (
            <button key={one} class={`grade-${one} ${grade === one ? "on" : ""}`} aria-pressed={grade === one} disabled={off} onClick={() => change({ grade: grade === one ? null : one })}>
              {one}
              {(one === "good" || one === "bad") && <kbd>{one[0]}</kbd>}
            </button>
          ))}
        </div>
      )}
      {children}
      <div class="segments" role="group" aria-label="Status">
        <button class={`flag ${status === "flagged" ? "on" : ""}`} aria-pressed={status === "flagged"} disabled={off} onClick={() => change({ status: status === "flagged" ? null : "flagged" })}>
          Flag<kbd>f</kbd>
        </button>
        {done && <button class={`done ${status === "done" ? "on" : ""}`} aria-pressed={status === "done"} disabled={off} onClick={() => change({ status: status === "done" ? null : "done" })}>
          Done<kbd>d</kbd>
        </button>}
        <Icon name="undo" label="Undo your last edit here" keys="Ctrl+Z" off={off} press={() => turn("undo")} />
        <Icon name="redo" label="Redo" keys="Ctrl+Y" off={off} press={() => turn("redo")} />
      </div>
      <Assigned off={off} />
      <textarea
        key={detail.value?.item} rows={1} placeholder="Note" aria-label="Note" disabled={off} maxLength={2000}
        value={valueOf<string | null>("note") ?? ""}
        onChange={(event) => change({ note: event.currentTarget.value.trim() || null })}
      />
    </div>
  );
}

function Assigned({ off }: { off: boolean }) {
  const me = session.value?.person ?? "";
  const who = valueOf<string | null>("assigned");
  const people = [...new Set([me, ...Object.keys(queue.value?.edits ?? {}), ...(queue.value?.items ?? []).flatMap((r) => r.assigned ?? [])])];
  return (
    <label class="field inline">
      <span>For</span>
      <select value={who ?? ""} disabled={off} onChange={(event) => change({ assigned: event.currentTarget.value || null })}>
        <option value="">anybody</option>
        {people.map((name) => <option key={name} value={name}>{name === me ? `me (${name})` : name}</option>)}
      </select>
    </label>
  );
}
