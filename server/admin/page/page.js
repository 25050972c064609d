// Fetches the parts of the page anew and changes only what differs, so that nothing flickers and the reader's place,
// selection and opened details stay. Without this file the page is complete, but stands still.
"use strict";
(() => {
  // become makes node what next is, with the fewest changes.
  const become = (node, next) => {
    if (node.nodeType !== next.nodeType || node.nodeName !== next.nodeName) {
      node.replaceWith(next);
      return;
    }
    if (node.nodeType !== Node.ELEMENT_NODE) {
      if (node.data !== next.data) node.data = next.data;
      return;
    }
    for (const { name } of [...node.attributes]) {
      if (!next.hasAttribute(name) && name !== "open") node.removeAttribute(name);
    }
    for (const { name, value } of next.attributes) {
      if (node.getAttribute(name) !== value) node.setAttribute(name, value);
    }
    children(node, next);
  };
  const children = (node, next) => {
    const old = [...node.childNodes];
    const fresh = [...next.childNodes];
    fresh.forEach((child, i) => (i < old.length ? become(old[i], child) : node.append(child)));
    old.slice(fresh.length).forEach((child) => child.remove());
  };

  // A part is fetched anew in its own time. The answer has elements that are on the page already, by their ids.
  const parts = [...document.querySelectorAll("[data-from]")].map((node) => ({
    from: node.dataset.from, every: node.dataset.every * 1000, due: Date.now() + node.dataset.every * 1000, busy: false,
  }));

  const refresh = async (part) => {
    part.busy = true;
    try {
      const answer = await fetch(part.from, { cache: "no-store", signal: AbortSignal.timeout(10000) });
      if (!answer.ok) throw new Error(answer.statusText);
      const text = await answer.text();
      for (const next of [...new DOMParser().parseFromString(text, "text/html").body.children]) {
        become(document.getElementById(next.id), next);
      }
      document.documentElement.classList.remove("stale");
    } catch {
      document.documentElement.classList.add("stale"); // the style sheet says so, and dims the numbers
    }
    const stale = document.documentElement.classList.contains("stale");
    document.title = (stale ? "No answer · " : "") + document.getElementById("top").dataset.title;
    part.due = Date.now() + part.every;
    part.busy = false;
  };
  const look = () => {
    if (document.hidden) return;
    for (const part of parts) if (!part.busy && Date.now() >= part.due) refresh(part);
  };
  setInterval(look, 500);
  document.addEventListener("visibilitychange", look);
})();
