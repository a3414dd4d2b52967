// A part of the inspector that opens and closes, and remembers.
import type { ComponentChildren } from "preact";

interface Props {
  title: string;
  name: string;
  note?: string;
  open?: boolean;
  onOpen?: () => void;
  children: ComponentChildren;
}

export function Section({ title, name, note, open, onOpen, children }: Props) {
  const key = `section-${name}`;
  const stored = localStorage.getItem(key);
  return (
    <details
      class="section" open={stored === null ? open : stored === "1"}
      onToggle={(event) => {
        localStorage.setItem(key, event.currentTarget.open ? "1" : "0");
        if (event.currentTarget.open) onOpen?.();
      }}
    >
      <summary>
        <span>{title}</span>
        {note !== undefined && <small>{note}</small>}
      </summary>
      {children}
    </details>
  );
}
