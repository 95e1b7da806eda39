"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const kept = { get: () => { try { return localStorage.getItem("gradcheck-theme"); } catch { return null; } },
                 set: (theme) => { try { localStorage.setItem("gradcheck-theme", theme); } catch { /* private window */ } } };
  if (kept.get() === "light" || kept.get() === "dark") root.dataset.theme = kept.get();
  document.getElementById("theme").addEventListener("click", () => {
    const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
    root.dataset.theme = (root.dataset.theme || system) === "dark" ? "light" : "dark";
    kept.set(root.dataset.theme);
  });

  const entries = [...document.querySelectorAll(".entry")];
  const texts = new Map(entries.map((entry) => [entry, entry.dataset.text.toLowerCase()]));
  const search = document.getElementById("search");
  const chips = [...document.querySelectorAll(".chips button")];
  const found = document.getElementById("found");
  let chosen = "";
  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const entry of entries) {
      const data = entry.dataset;
      const fits = !chosen || data.status === chosen || data.kind === chosen || (chosen === "bad" && data.bad === "1");
      entry.hidden = !(fits && words.every((word) => texts.get(entry).includes(word)));
      count += entry.hidden ? 0 : 1;
    }
    found.textContent = chosen || words.length ? `${count} of ${entries.length} shown` : "";
  };
  for (const chip of chips) {
    chip.addEventListener("click", () => {
      chosen = chosen === chip.value ? "" : chip.value;
      for (const each of chips) each.setAttribute("aria-pressed", String(each.value === chosen));
      filter();
    });
  }
  search.addEventListener("input", filter);

  const unfold = () => {
    const target = document.getElementById(location.hash.slice(1));
    if (target && target.classList.contains("entry")) { target.open = true; target.scrollIntoView(); }
  };
  addEventListener("hashchange", unfold);
  unfold();

  for (const button of document.querySelectorAll(".rerun button")) {
    button.addEventListener("click", async () => {
      const code = button.parentElement.querySelector("pre");
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = "copied";
      } catch {
        getSelection().selectAllChildren(code);
        button.textContent = "selected";
      }
      setTimeout(() => { button.textContent = "copy"; }, 1500);
    });
  }

  let opened = [];
  addEventListener("beforeprint", () => {
    opened = entries.filter((entry) => !entry.hidden && !entry.open && (entry.dataset.bad === "1" || entries.length <= 20));
    for (const entry of opened) entry.open = true;
  });
  addEventListener("afterprint", () => { for (const entry of opened) entry.open = false; });
})();
