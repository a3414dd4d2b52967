// The keys of the desk that is open.
import { EVERYWHERE, keymap } from "../keys";
import { dialog } from "../state";
import { Dialog } from "./Dialog";

const NAMES: Record<string, string> = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", " ": "Space", PageDown: "PgDn", PageUp: "PgUp", Delete: "Del" };
const pretty = (key: string) => key.split("+").map((part, i, all) => (part === "" && i === all.length - 1 ? "+" : NAMES[part] ?? (part.length === 1 ? part.toUpperCase() : part))).filter(Boolean).join(" ");

export function Help() {
  const listed = [...keymap.value, ...EVERYWHERE].filter((key) => key.does);
  const groups = [...new Set(listed.map((key) => key.group ?? "Keys"))];
  return (
    <Dialog title="Keys" close={() => (dialog.value = null)} wide>
      <div class="keys">
        {groups.map((group) => (
          <section key={group}>
            <h3>{group}</h3>
            <dl>
              {listed.filter((key) => (key.group ?? "Keys") === group).map((key) => (
                <div key={key.does}>
                  <dt>{(key.keys.some((k) => k.startsWith("Arrow")) && key.does.startsWith("nudge") ? ["←", "→", "↑", "↓"] : key.keys.slice(0, 2).map(pretty)).map((k) => <kbd key={k}>{k}</kbd>)}</dt>
                  <dd>{key.does}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  );
}
