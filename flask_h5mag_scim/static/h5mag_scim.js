// Comfort for the page "Provisioning & SSO": copy, hide, local times, what changes by itself,
// refresh after a test.
// Everything works without it. Texts come from the page.
"use strict";

(() => {
  const page = document.querySelector(".h5s");
  if (!page) return;

  const told = document.getElementById("h5s-told");
  const tell = (text) => {
    if (!told) return;
    told.textContent = "";
    setTimeout(() => { told.textContent = text; }, 50);
  };

  // A screen reader announces what changes after the page is there, not what it came with.
  // innerText, because paragraphs have nothing between them otherwise.
  const arrived = [...page.querySelectorAll(".h5s-note[role=status]")];
  if (arrived.length) tell(arrived.map((note) => note.innerText.trim()).join(" "));

  const copy = async (input) => {
    if (navigator.clipboard && window.isSecureContext) {
      await navigator.clipboard.writeText(input.value);
      return true;
    }
    input.select();
    return document.execCommand("copy");
  };

  for (const button of page.querySelectorAll("[data-h5s-copy]")) {
    const label = button.firstElementChild;
    const words = label.textContent;
    let timer;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const input = document.getElementById(button.dataset.h5sCopy);
      let done = false;
      try { done = await copy(input); } catch { /* refused: the text is selected instead */ }
      if (!done) {
        input.focus();
        input.select();
        return;
      }
      tell(button.dataset.h5sDone);
      label.textContent = button.dataset.h5sShort;
      button.classList.add("h5s-button--done");
      clearTimeout(timer);
      timer = setTimeout(() => {
        label.textContent = words;
        button.classList.remove("h5s-button--done");
      }, 2000);
    });
  }

  for (const button of page.querySelectorAll("[data-h5s-mask]")) {
    const input = document.getElementById(button.dataset.h5sMask);
    button.hidden = false;
    button.addEventListener("click", () => {
      // Not a password field: browsers would offer to keep the token.
      const masked = input.classList.toggle("h5s-masked");
      button.firstElementChild.textContent = masked ? button.dataset.h5sShow : button.dataset.h5sHide;
    });
  }

  const localise = (root) => {
    for (const time of root.querySelectorAll(".h5s time[datetime], [data-h5s-live] time[datetime]")) {
      const at = new Date(time.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      const two = (number) => String(number).padStart(2, "0");
      time.title = time.textContent;
      time.textContent = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ` +
        `${two(at.getHours())}:${two(at.getMinutes())}`;
    }
  };
  localise(document);

  // The test runs in a tab of its own. Back here, the page shows what it led to, unless
  // that would throw away a token or what somebody has typed.
  const test = document.querySelector("form[data-h5s-refresh=yes]");
  if (test) {
    let tested = false;
    let typed = false;
    test.addEventListener("submit", () => { tested = true; });
    page.addEventListener("input", () => { typed = true; });
    document.addEventListener("visibilitychange", () => {
      if (tested && !typed && document.visibilityState === "visible") location.reload();
    });
  }

  // What changes by itself is fetched again while somebody looks, for an hour. Those parts have
  // nothing to type into; one that has the focus waits for the next time.
  const source = page.dataset.h5sLiveAt;
  if (source) {
    const every = 10_000;
    const until = Date.now() + 60 * 60_000;
    let timer;
    let isOver = false;
    const put = (text) => {
      const fresh = new DOMParser().parseFromString(text, "text/html");
      localise(fresh);
      const news = [];
      for (const part of fresh.querySelectorAll("[data-h5s-live]")) {
        const old = document.getElementById(part.id);
        if (!old || old.isEqualNode(part) || old.contains(document.activeElement)) continue;
        const words = part.dataset.h5sSay;
        if (words && words !== old.dataset.h5sSay) news.push(words);
        old.replaceWith(part);
      }
      if (news.length) tell(news.join(". "));
    };
    const refresh = async () => {
      if (isOver || document.visibilityState !== "visible") return;
      let answer;
      try {
        answer = await fetch(source, { cache: "no-store", redirect: "manual" });
        if (answer.ok) put(await answer.text());
      } catch { return; /* no network: it may be back the next time */ }
      const isRefused = answer.type === "opaqueredirect" || (answer.status >= 400 && answer.status < 500);
      isOver = isRefused || Date.now() > until;
      if (isOver) clearInterval(timer);
    };
    timer = setInterval(refresh, every);
    document.addEventListener("visibilitychange", refresh);
  }
})();
