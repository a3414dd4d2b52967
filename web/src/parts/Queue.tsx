// The queue: what needs a look comes first. Only the rows in sight are made.
import { effect, signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { type Filter, filter, item, open, progress, queue, rows, step } from "../state";
import type { QueueRow } from "../types";

const HIGH = 54;
const top = signal(0);
const tall = signal(600);

export const queueOpen = signal(matchMedia("(min-width: 821px)").matches);

export function Queue({ noun }: { noun: string }) {
  const scroller = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = scroller.current!;
    const watch = new ResizeObserver(() => (tall.value = element.clientHeight));
    watch.observe(element);
    const stop = effect(() => {
      const at = rows.value.findIndex((row) => row.item === item.value);
      if (at < 0) return;
      if (at * HIGH < element.scrollTop) element.scrollTop = at * HIGH;
      else if ((at + 1) * HIGH > element.scrollTop + element.clientHeight) element.scrollTop = (at + 1) * HIGH - element.clientHeight;
    });
    return () => (watch.disconnect(), stop());
  }, []);
  const list = rows.value;
  const first = Math.max(0, Math.floor(top.value / HIGH) - 4);
  const last = Math.min(list.length, Math.ceil((top.value + tall.value) / HIGH) + 4);
  return (
    <nav class={`queue ${queueOpen.value ? "" : "folded"}`} aria-label={`Queue of ${noun}`}>
      <Controls noun={noun} />
      <div class="rows" ref={scroller} onScroll={(event) => (top.value = event.currentTarget.scrollTop)}>
        <ul
          style={{ height: `${list.length * HIGH}px` }} role="listbox" aria-label={noun} tabIndex={0} aria-activedescendant="row"
          onKeyDown={(event) => {
            const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
            if (!by) return;
            event.preventDefault();
            event.stopPropagation();
            step(by);
          }}
        >
          {list.slice(first, last).map((row, i) => <Row key={row.item} row={row} at={first + i} />)}
        </ul>
        {queue.value && list.length === 0 && <p class="hint pad">Nothing here fits the filter.</p>}
        {!queue.value && <p class="hint pad">Opening …</p>}
      </div>
    </nav>
  );
}

const SHOW: [Filter["show"], string][] = [
  ["all", "All"], ["needs", "Needs a look"], ["open", "Not done"], ["flagged", "Flagged"], ["mine", "For me"], ["done", "Done"],
];

function Controls({ noun }: { noun: string }) {
  const now = filter.value;
  const set = (change: Partial<Filter>) => (filter.value = { ...now, ...change });
  const grades = ((queue.value?.scheme as any)?.grades ?? []) as string[];
  const word = noun === "pairs" ? "Verdict" : "Grade";
  const { done, all } = progress.value;
  return (
    <div class="controls">
      <div class="progress" role="progressbar" aria-valuemin={0} aria-valuemax={all} aria-valuenow={done} aria-label="Done">
        <div><b>{done}</b> of {all} {noun} done</div>
        <div class="bar"><i style={{ width: `${all ? (100 * done) / all : 0}%` }} /></div>
      </div>
      <input id="filter" type="search" placeholder="Filter  /" aria-label="Filter by name, group, reason" value={now.text} onInput={(event) => set({ text: event.currentTarget.value })} />
      <div class="two">
        <select aria-label="Show" value={now.show} onChange={(event) => set({ show: event.currentTarget.value as Filter["show"] })}>
          {SHOW.map(([value, text]) => <option key={value} value={value}>{text}</option>)}
        </select>
        {grades.length > 0 && (
          <select aria-label={word} value={now.grade} onChange={(event) => set({ grade: event.currentTarget.value })}>
            <option value="">Any {word.toLowerCase()}</option>
            <option value="none">No {word.toLowerCase()}</option>
            {grades.map((grade) => <option key={grade} value={grade}>{grade}</option>)}
          </select>
        )}
      </div>
    </div>
  );
}

function Row({ row, at }: { row: QueueRow; at: number }) {
  const chosen = row.item === item.value;
  const choose = () => {
    open(row.item);
    if (matchMedia("(max-width: 820px)").matches) queueOpen.value = false;
  };
  const why = row.reasons.join(" · ") || (row.edited ? "edited" : "nothing to object to");
  return (
    <li
      id={chosen ? "row" : undefined} role="option" aria-selected={chosen} aria-posinset={at + 1} aria-setsize={rows.value.length} class={`${chosen ? "chosen" : ""} ${row.status ?? ""}`}
      style={{ transform: `translateY(${at * HIGH}px)` }} onClick={choose} title={`${row.item}\n${why}`}
    >
      <span class="need" style={{ "--need": Math.min(1, row.need / 3) } as any} aria-hidden="true" />
      <span class="what">
        <b>{row.item}</b>
        <small>{why}</small>
      </span>
      <span class="badges">
        {row.grade && <em class={`grade-${row.grade}`}>{row.grade}</em>}
        {row.status && <em class={row.status}>{row.status === "done" ? "done" : "flag"}</em>}
      </span>
    </li>
  );
}
