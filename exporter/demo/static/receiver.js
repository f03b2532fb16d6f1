// Shows new messages without taking the reader's place on the page away, as reloading it would.
"use strict";

setInterval(async () => {
  try {
    const answer = await fetch(location.href);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const [shown, fresh] = [document, page].map((one) => one.querySelector("main"));
    if (answer.ok && shown.innerHTML !== fresh.innerHTML) {
      shown.replaceChildren(...fresh.childNodes);
    }
  } catch {
    // Not there just now; the next turn asks again.
  }
}, 5000);
