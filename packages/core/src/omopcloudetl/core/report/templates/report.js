"use strict";
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const one = (selector) => document.querySelector(selector);
  document.body.classList.add("scripted");

  // What a bar or a box is, beside the pointer or the focus.
  const tip = one("#tip");
  const showTip = (element, x, y) => {
    tip.textContent = element.dataset.text;
    tip.hidden = false;
    const room = document.documentElement;
    tip.style.left = `${Math.max(4, Math.min(x + 12, room.clientWidth - tip.offsetWidth - 8))}px`;
    tip.style.top = `${y + 18 + tip.offsetHeight > room.clientHeight ? y - tip.offsetHeight - 8 : y + 18}px`;
  };
  const hideTip = () => { tip.hidden = true; };
  for (const element of all("[data-text]")) {
    element.addEventListener("pointermove", (event) => showTip(element, event.clientX, event.clientY));
    element.addEventListener("pointerleave", hideTip);
    element.addEventListener("focus", () => {
      const box = element.getBoundingClientRect();
      showTip(element, box.left, box.bottom - 14);
    });
    element.addEventListener("blur", hideTip);
  }

  // A link to a step opens it, although the search may have hidden it.
  const openTarget = () => {
    const step = /^#step-\d+$/.test(location.hash) ? one(location.hash) : null;
    if (step) {
      step.hidden = false;
      step.open = true;
      step.scrollIntoView({ block: "center" });
    }
  };
  addEventListener("hashchange", openTarget);
  for (const link of all('a[href^="#step-"]')) {
    link.addEventListener("click", () => setTimeout(openTarget));
  }

  // Lineage: from a box to all that it is made of, and to all that is made of it.
  const graph = one(".lineage");
  if (graph) {
    const nodes = new Map(all(".node", graph).map((node) => [node.dataset.id, node]));
    const paths = all(".edges path", graph);
    const follow = (start, here, there) => {
      const seen = new Set([start]);
      for (const id of seen) {
        for (const path of paths) {
          if (path.dataset[here] === id && path.classList.contains("data")) {
            path.classList.add("on");
            seen.add(path.dataset[there]);
          }
        }
      }
      for (const id of seen) nodes.get(id).classList.add("on");
    };
    const darken = () => {
      graph.classList.remove("lit");
      for (const element of all(".on, .self", graph)) element.classList.remove("on", "self");
    };
    const light = (id) => {
      darken();
      graph.classList.add("lit");
      nodes.get(id).classList.add("self");
      follow(id, "to", "from");
      follow(id, "from", "to");
      // Look-ups only of the box itself.
      for (const path of paths) {
        if (path.dataset.to === id) {
          path.classList.add("on");
          nodes.get(path.dataset.from).classList.add("on");
        }
      }
    };
    for (const [id, node] of nodes) {
      for (const event of ["pointerenter", "focus"]) node.addEventListener(event, () => light(id));
      for (const event of ["pointerleave", "blur"]) node.addEventListener(event, darken);
    }
    for (const box of all("[data-show]")) {
      box.addEventListener("change", () => graph.classList.toggle(`show-${box.dataset.show}`, box.checked));
    }
  }

  // The list of steps: find, filter, sort.
  const list = one("#all-steps");
  const steps = all(".one", list);
  const find = one("#find"), state = one("#state"), order = one("#order"), found = one("#found");
  const filter = () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const step of steps) {
      const fits = words.every((word) => step.dataset.words.includes(word)) && (!state.value || step.dataset.state === state.value);
      step.hidden = !fits;
      count += fits;
    }
    found.textContent = count === steps.length ? "" : `${count} of ${steps.length}`;
  };
  const sort = () => {
    const key = order.value, sign = key === "number" ? 1 : -1;
    const sorted = [...steps].sort((a, b) => sign * (a.dataset[key] - b.dataset[key]) || a.dataset.number - b.dataset.number);
    list.append(...sorted);
  };
  find.addEventListener("input", filter);
  state.addEventListener("change", filter);
  order.addEventListener("change", sort);
  one(".find").addEventListener("submit", (event) => event.preventDefault());

  // SQL in colours, when it is first seen.
  const words = "ALL AND AS ASC BETWEEN BY CASE CAST COALESCE COUNT CREATE CROSS DATE DELETE DESC DISTINCT DROP ELSE END EXCEPT EXISTS FALSE FROM FULL GROUP HAVING IF IN INNER INSERT INTERVAL INTO IS JOIN LEFT LIKE MATCHED MAX MERGE MIN NOT NULL ON OR ORDER OUTER OVER PARTITION QUALIFY REPLACE RIGHT ROW_NUMBER SCHEMA SELECT SET SUM TABLE THEN TRUE TRY_CAST UNION UNNEST UPDATE USING VALUES VIEW WHEN WHERE WITH";
  const token = new RegExp(`(--[^\\n]*|/\\*[^]*?\\*/)|('(?:[^']|'')*')|("(?:[^"]|"")*")|\\b(${words.replaceAll(" ", "|")})\\b`, "g");
  const colour = (pre) => {
    const text = pre.textContent, parts = [];
    let last = 0;
    for (const match of text.matchAll(token)) {
      const kind = match[1] ? "c" : match[2] ? "s" : match[4] ? "w" : "";
      if (!kind) continue;
      const span = document.createElement("span");
      span.className = kind;
      span.textContent = match[0];
      parts.push(text.slice(last, match.index), span);
      last = match.index + match[0].length;
    }
    pre.replaceChildren(...parts, text.slice(last));
  };
  for (const step of steps) {
    step.addEventListener("toggle", () => all(".sql", step).forEach(colour), { once: true });
  }
  openTarget();
})();
