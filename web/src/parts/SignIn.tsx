// Signing in: by the link from the terminal, or by name and password on a lab server.
import { useState } from "preact/hooks";
import { ask, remember } from "../api";
import { session, signIn } from "../state";
import type { Session } from "../types";

export function SignIn() {
  return (
    <main class="signin">
      <div class="card">
        <p class="brand">ethomorph <span>review</span></p>
        {signIn.value === "account" ? <Form /> : <Link />}
      </div>
    </main>
  );
}

function Link() {
  return (
    <>
      <h1>Open the link from the terminal</h1>
      <p>This page belongs to whoever started it. Use the address that <code>ethomorph review</code> printed; it works once. Press Enter in that terminal for another one.</p>
    </>
  );
}

function Form() {
  const [wrong, setWrong] = useState("");
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    try {
      const found = await ask<Session>("POST", "/api/session", { name: form.get("name"), password: form.get("password") });
      session.value = remember(found);
    } catch (error) {
      setWrong((error as Error).message);
    }
  };
  return (
    <form onSubmit={submit}>
      <h1>Sign in</h1>
      <label class="field"><span>Name</span><input name="name" autoComplete="username" required autoFocus /></label>
      <label class="field"><span>Password</span><input name="password" type="password" autoComplete="current-password" required /></label>
      <p class="wrong" role="alert">{wrong}</p>
      <button class="main wide">Sign in</button>
    </form>
  );
}
