"use strict";
let token = "";
const send = (form, handler) => form.addEventListener("submit", (event) => {
  event.preventDefault();
  handler(form).catch((err) => { form.querySelector("pre, [role=status]").textContent = String(err); });
});

send(document.getElementById("login"), async (form) => {
  const who = document.getElementById("who");
  const answer = await fetch(form.dataset.url, {
    method: "POST",
    credentials: "omit",
    headers: { "Content-Type": "application/json", Accept: "application/json" },
    body: JSON.stringify({ username: form.querySelector("#username").value, password: form.querySelector("#password").value }),
  });
  const body = await answer.json();
  token = answer.ok ? body.access_token : "";
  who.textContent = answer.ok ? "Requests are sent as " + body.user.username + "." : body.detail;
});

document.querySelectorAll("form.try").forEach((form) => send(form, async () => {
  const headers = { Accept: "application/json" };
  if (token) headers.Authorization = "Bearer " + token;
  const init = { method: form.dataset.method, headers, credentials: "omit", redirect: "manual" };
  if (form.dataset.type) {
    headers["Content-Type"] = form.dataset.type;
    init.body = form.elements.body.value;
  }
  const path = form.elements.path.value;
  if (!path.startsWith("/") || path.startsWith("//")) throw new Error("The address is a path of this site.");
  const answer = await fetch(path, init);
  const text = await answer.text();
  const out = form.querySelector("pre");
  out.hidden = false;
  out.textContent = answer.status + " " + answer.statusText + "\n\n" + text;
}));
