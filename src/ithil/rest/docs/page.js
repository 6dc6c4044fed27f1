
"use strict";

const LONGEST = 200000; // characters of an answer that are shown

const STOPPING = ["/tools/shutdown", "/tools/reset", "/tools/bulk-delete"];

// What takes something away is asked about once more.
function isWanted(method, path, target) {
  const asked = method === "delete" || method === "put" || (method === "post" && STOPPING.includes(path));
  return !asked || window.confirm(`Really send ${method.toUpperCase()} ${target}?`);
}

// An element with attributes and children. Text only ever becomes text, whatever the server sends.
function make(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function field(parameter, kept) {
  const input = make("input", { name: parameter.name, autocomplete: "off" });
  if (parameter.required) input.required = true;
  kept.push({ ...parameter, input });
  const note = make("small", {}, parameter.description || "");
  return make("label", {}, `${parameter.name} (${parameter.in})`, note, input);
}

function address(path, fields) {
  let target = path.replace(/\{(\w+)\}/g, (_, name) => {
    const found = fields.find((one) => one.in === "path" && one.name === name);
    const value = found ? found.input.value : "";
    // A path that goes on keeps its slashes.
    return name === "path" ? value.split("/").map(encodeURIComponent).join("/") : encodeURIComponent(value);
  });
  const query = fields
    .filter((one) => one.in === "query" && one.input.value !== "")
    .map((one) => `${encodeURIComponent(one.name)}=${encodeURIComponent(one.input.value)}`);
  if (query.length) target += "?" + query.join("&");
  return "." + target;
}

async function show(response, result) {
  const type = response.headers.get("content-type") || "";
  const head = `${response.status} ${response.statusText}\n${type}`;
  result.replaceChildren(make("pre", {}, head));
  const content = await response.blob();
  if (type.startsWith("image/")) {
    result.append(make("img", { src: URL.createObjectURL(content), alt: "The answer" }));
  } else if (/^text\/|json|xml|javascript/.test(type)) {
    const text = await content.slice(0, LONGEST).text();
    result.append(make("pre", {}, content.size > LONGEST ? text + "\n..." : text || "(empty)"));
  } else if (content.size) {
    const link = make("a", { href: URL.createObjectURL(content), download: "answer" });
    link.append(`Save ${content.size} bytes`);
    result.append(make("p", {}, link));
  }
}

function trial(path, method, operation) {
  const fields = [];
  const form = make("form");
  for (const parameter of operation.parameters || []) form.append(field(parameter, fields));
  let body = null;
  let kind = "";
  if (method === "put" || method === "post") {
    body = make("textarea", { "aria-label": "Body of the request", spellcheck: "false" });
    const content = (operation.requestBody || {}).content || {};
    kind = Object.keys(content)[0] || "";
    form.append(make("label", {}, kind ? `Body (${kind})` : "Body", body));
    const properties = ((content[kind] || {}).schema || {}).properties;
    if (properties) {
      const rows = Object.entries(properties).map(([name, one]) =>
        make("tr", {}, make("td", {}, make("code", {}, name)), make("td", {}, String(one.type)),
          make("td", {}, one.description || "")));
      form.append(make("table", {}, ...rows));
    }
  }
  const button = make("button", { type: "submit" }, "Send");
  const result = make("div", { "aria-live": "polite" });
  form.append(make("div", {}, button), result);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const target = address(path, fields);
    if (!isWanted(method, path, target.slice(1))) return;
    button.disabled = true;
    result.replaceChildren(make("pre", {}, `${method.toUpperCase()} ${target.slice(1)}`));
    try {
      const options = { method: method.toUpperCase() };
      if (body) {
        options.body = body.value;
        if (kind) options.headers = { "Content-Type": kind };
      }
      await show(await fetch(target, options), result);
    } catch (error) {
      result.replaceChildren(make("pre", {}, `No answer: ${error.message}`));
    }
    button.disabled = false;
  });
  return form;
}

function line(path, method, operation) {
  const details = make("details", {},
    make("summary", {}, make("b", { class: `method ${method}` }, method.toUpperCase()),
      make("code", {}, path), make("span", {}, operation.summary)));
  details.dataset.text = `${method} ${path} ${operation.summary}`.toLowerCase();
  // A form is made when somebody wants to see it.
  details.addEventListener("toggle", () => details.append(trial(path, method, operation)), { once: true });
  return details;
}

function filter(words, sections, count) {
  let shown = 0;
  for (const section of sections) {
    let any = false;
    for (const one of section.querySelectorAll("details")) {
      one.hidden = !words.every((word) => one.dataset.text.includes(word));
      if (!one.hidden) { any = true; shown += 1; }
    }
    section.hidden = !any;
  }
  count.textContent = `${shown} routes`;
}

async function start() {
  const main = document.getElementById("routes");
  const input = document.getElementById("filter");
  const count = document.getElementById("count");
  const response = await fetch("openapi.json");
  if (!response.ok) throw new Error(`status ${response.status}`);
  const api = await response.json();
  const sections = api.tags.map((tag) => make("section", {}, make("h2", {}, tag.name)));
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const place = api.tags.findIndex((tag) => tag.name === operation.tags[0]);
      sections[place].append(line(path, method, operation));
    }
  }
  main.replaceChildren(...sections);
  const apply = () => filter(input.value.toLowerCase().split(/\s+/).filter(Boolean), sections, count);
  input.addEventListener("input", apply);
  apply();
}

start().catch((error) => {
  document.getElementById("routes").textContent = `The description cannot be had: ${error.message}`;
});
