"use strict";
(function () {
  const form = document.getElementById("filters");
  const cards = Array.from(document.querySelectorAll("details.card"));
  const runs = Array.from(document.querySelectorAll("section.run"));
  const words = new Map(cards.map((card) => [card, card.textContent.toLowerCase()]));
  const count = document.getElementById("count");
  const group = document.getElementById("group");
  const search = document.getElementById("words");
  const changed = document.getElementById("only-changed");

  function picked(name) {
    return Array.from(form.querySelectorAll(`input[name=${name}]:checked`), (box) => box.value);
  }

  function apply() {
    const verdicts = picked("verdict");
    const kinds = picked("kind");
    const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const card of cards) {
      const own = card.dataset;
      const matches =
        (!group.value || own.group === group.value) &&
        (!verdicts.length || verdicts.includes(own.verdict)) &&
        (!kinds.length || kinds.some((kind) => own.kinds.split(" ").includes(kind))) &&
        (!changed || !changed.checked || own.changed === "yes") &&
        wanted.every((word) => words.get(card).includes(word));
      card.hidden = !matches;
      shown += matches ? 1 : 0;
    }
    for (const run of runs) {
      run.hidden = !run.querySelector("details.card:not([hidden])");
    }
    count.textContent = `${shown} of ${cards.length} cards shown`;
    document.getElementById("nothing").hidden = shown > 0;
  }

  function clear() {
    form.reset();
    apply();
  }

  function fold(open) {
    for (const card of cards) {
      if (!card.hidden) card.open = open;
    }
  }

  function follow() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target || !target.matches("details.card")) return;
    if (target.hidden) clear();
    target.open = true;
    target.scrollIntoView();
    target.querySelector("summary").focus({ preventScroll: true });
  }

  form.hidden = false;
  form.addEventListener("input", apply);
  form.addEventListener("change", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(apply));
  document.getElementById("unfold").addEventListener("click", () => fold(true));
  document.getElementById("fold").addEventListener("click", () => fold(false));
  document.getElementById("clear").addEventListener("click", clear);
  for (const button of document.querySelectorAll("button.count")) {
    button.addEventListener("click", () => {
      form.reset();
      group.value = button.dataset.group;
      for (const box of form.querySelectorAll("input[name=verdict]")) {
        box.checked = box.value === button.dataset.verdict;
      }
      apply();
      const heading = document.getElementById("cards");
      heading.scrollIntoView();
      heading.focus({ preventScroll: true });
    });
  }
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#card-']");
    if (link && link.hash === location.hash) follow();
  });
  window.addEventListener("hashchange", follow);

  // A browser without ::details-content prints what is unfolded only.
  let folded = [];
  window.addEventListener("beforeprint", () => {
    folded = Array.from(document.querySelectorAll("details:not([open])"));
    for (const one of folded) one.open = true;
  });
  window.addEventListener("afterprint", () => {
    for (const one of folded) one.open = false;
    folded = [];
  });
  apply();
  follow();
})();
