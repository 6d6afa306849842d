// Opens addresses in headless Chromium by its DevTools protocol and tells what a person would meet there.
// Standard input: {"chromium", "pages": [{"url", "width", "height", "dark", "screenshot"}]}; output: one JSON answer.
"use strict";
const { spawn } = require("node:child_process");
const { mkdtempSync, writeFileSync, rmSync } = require("node:fs");
const { tmpdir } = require("node:os");
const { join } = require("node:path");

const MEASURES = `(() => {
  const beyond = [...document.querySelectorAll("body *")].filter((one) => {
    const box = one.getBoundingClientRect();
    return box.width > 0 && box.right > innerWidth + 1 && !one.closest(".wide");
  });
  return {
    title: document.title,
    h1: document.querySelector("h1") ? document.querySelector("h1").textContent : "",
    text: document.body.innerText,
    scrollWidth: document.documentElement.scrollWidth,
    innerWidth,
    beyond: beyond.slice(0, 5).map((one) => one.outerHTML.slice(0, 160)),
    charts: [...document.querySelectorAll("svg.chart")].map((one) => one.getAttribute("aria-label")),
    unnamed: [...document.querySelectorAll("svg:not([aria-label]), img:not([alt]), input:not([id])")].length,
    background: getComputedStyle(document.body).backgroundColor,
  };
})()`;
const FOCUS = `(() => {
  const one = document.activeElement;
  const style = getComputedStyle(one);
  return { text: (one.textContent || one.id).trim().slice(0, 60), tag: one.tagName, outline: style.outlineStyle + " " + style.outlineWidth };
})()`;

async function main() {
  let input = "";
  for await (const chunk of process.stdin) input += chunk;
  const asked = JSON.parse(input);
  const profile = mkdtempSync(join(tmpdir(), "lml-chromium-"));
  const browser = spawn(asked.chromium, [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
    "--remote-debugging-port=0", `--user-data-dir=${profile}`, "about:blank",
  ], { stdio: ["ignore", "ignore", "pipe"] });
  try {
    const answers = await drive(await debuggerAddress(browser), asked.pages);
    process.stdout.write(JSON.stringify(answers));
  } finally {
    const ended = new Promise((resolve) => browser.once("exit", resolve));
    browser.kill("SIGKILL");
    await ended;
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

function debuggerAddress(browser) {
  return new Promise((resolve, reject) => {
    let said = "";
    browser.stderr.on("data", (chunk) => {
      said += chunk;
      const met = said.match(/DevTools listening on (ws:\S+)/);
      if (met) resolve(met[1]);
    });
    browser.on("exit", () => reject(new Error(`chromium ended: ${said}`)));
  });
}

async function drive(address, pages) {
  const socket = new WebSocket(address);
  await new Promise((resolve, reject) => { socket.onopen = resolve; socket.onerror = reject; });
  const waiting = new Map();
  const listeners = new Set();
  let last = 0;
  socket.onmessage = (message) => {
    const met = JSON.parse(message.data);
    if (met.id === undefined) { for (const one of listeners) one(met); return; }
    const { resolve, reject } = waiting.get(met.id);
    waiting.delete(met.id);
    if (met.error) reject(new Error(JSON.stringify(met.error))); else resolve(met.result);
  };
  const send = (method, params = {}, sessionId = undefined) => new Promise((resolve, reject) => {
    last += 1;
    waiting.set(last, { resolve, reject });
    socket.send(JSON.stringify({ id: last, method, params, sessionId }));
  });
  const { targetId } = await send("Target.createTarget", { url: "about:blank" });
  const { sessionId } = await send("Target.attachToTarget", { targetId, flatten: true });
  const tell = (method, params) => send(method, params, sessionId);
  for (const domain of ["Page", "Runtime", "Log", "Network"]) await tell(`${domain}.enable`);
  const answers = [];
  for (const page of pages) answers.push(await open(tell, listeners, page));
  socket.close();
  return answers;
}

async function open(tell, listeners, page) {
  const errors = [];
  const outside = [];
  let loaded;
  const done = new Promise((resolve) => { loaded = resolve; });
  const listen = (met) => {
    if (met.method === "Log.entryAdded" && met.params.entry.level === "error") errors.push(met.params.entry.text);
    if (met.method === "Runtime.exceptionThrown") errors.push(met.params.exceptionDetails.text);
    if (met.method === "Runtime.consoleAPICalled") errors.push(met.params.args.map((arg) => arg.value).join(" "));
    if (met.method === "Page.javascriptDialogOpening") { errors.push("a dialog opened"); tell("Page.handleJavaScriptDialog", { accept: true }); }
    if (met.method === "Network.requestWillBeSent" && new URL(met.params.request.url).host !== new URL(page.url).host) outside.push(met.params.request.url);
    if (met.method === "Page.loadEventFired") loaded();
  };
  listeners.add(listen);
  await tell("Emulation.setDeviceMetricsOverride", {
    width: page.width, height: page.height || 800, deviceScaleFactor: page.scale || 1, mobile: page.width < 500,
  });
  await tell("Emulation.setEmulatedMedia", {
    features: [{ name: "prefers-color-scheme", value: page.dark ? "dark" : "light" }],
  });
  const went = await tell("Page.navigate", { url: page.url });
  if (went.errorText) throw new Error(`${page.url}: ${went.errorText}`);
  await done;
  const value = async (expression) => (await tell("Runtime.evaluate", { expression, returnByValue: true })).result.value;
  const answer = await value(MEASURES);
  if (page.screenshot) {
    const shot = await tell("Page.captureScreenshot", { format: "png", captureBeyondViewport: !!page.whole, clip: page.whole ? {
      x: 0, y: 0, width: page.width, height: Math.min(page.whole, await value("document.documentElement.scrollHeight")), scale: 1,
    } : undefined });
    writeFileSync(page.screenshot, Buffer.from(shot.data, "base64"));
  }
  answer.focus = [];
  for (let tab = 0; tab < (page.tabs || 0); tab += 1) {
    for (const type of ["keyDown", "keyUp"]) await tell("Input.dispatchKeyEvent", { type, key: "Tab", code: "Tab", windowsVirtualKeyCode: 9 });
    answer.focus.push(await value(FOCUS));
  }
  listeners.delete(listen);
  return { ...answer, errors, outside };
}

main().catch((error) => { process.stderr.write(`${error.stack}\n`); process.exit(1); });
