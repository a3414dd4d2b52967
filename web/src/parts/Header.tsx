// The bar on top: which study and task, whether all is saved, and what belongs to the person.
import { ask } from "../api";
import { saving } from "../edits";
import { dialog, openTask, page, session, signIn, study, task } from "../state";
import { switchTheme, theme } from "../theme";
import { asideOpen } from "./Aside";
import { Icon } from "./Icon";
import { queueOpen } from "./Queue";

export function Header() {
  const now = session.value!;
  const many = now.studies.length > 1;
  return (
    <header class="top">
      <Icon name="list" label="Queue" on={queueOpen.value} press={() => (queueOpen.value = !queueOpen.value)} />
      <p class="brand">ethomorph</p>
      {many ? (
        <select
          class="study" aria-label="Study" value={study.value?.slug}
          onChange={(event) => {
            const chosen = now.studies.find((s) => s.slug === event.currentTarget.value)!;
            if (chosen.tasks.length) openTask(chosen, chosen.tasks[0]);
          }}
        >
          {now.studies.map((one) => <option key={one.slug} value={one.slug}>{one.name}</option>)}
        </select>
      ) : (
        <p class="study">{study.value?.name}</p>
      )}
      <div class="tabs" role="tablist" aria-label="Tasks">
        {study.value?.tasks.map((one) => (
          <button
            key={one.name} role="tab" aria-selected={page.value === "desk" && task.value?.name === one.name}
            onClick={() => {
              page.value = "desk";
              if (task.value?.name !== one.name) openTask(study.value!, one);
            }}
          >
            {one.name}
          </button>
        ))}
        <span class="gap" />
        {task.value && study.value?.trains && <button role="tab" aria-selected={page.value === "training"} onClick={() => (page.value = page.value === "training" ? "desk" : "training")}>Training</button>}
      </div>
      <p class={`saving ${saving.value}`} role="status">
        {saving.value === "saved" ? "All saved" : saving.value === "saving" ? "Saving …" : "Not connected; edits wait here"}
      </p>
      <button class="quiet" onClick={() => (dialog.value = "output")} disabled={!task.value}>Export</button>
      <Icon name="help" label="Keys" keys="?" press={() => (dialog.value = "help")} />
      <Icon name={theme.value === "dark" ? "sun" : "moon"} label={theme.value === "dark" ? "Light" : "Dark"} press={switchTheme} />
      <Icon name="panel" label="Details" on={asideOpen.value} press={() => (asideOpen.value = !asideOpen.value)} />
      <span class="person" title={study.value ? `Role: ${study.value.role}` : ""}>{now.person}</span>
      {now.how === "account" && <Icon name="out_door" label="Sign out" press={leave} />}
    </header>
  );
}

async function leave(): Promise<void> {
  await ask("DELETE", "/api/session").catch(() => undefined);
  session.value = null;
  signIn.value = "account";
}
