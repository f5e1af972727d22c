// Keeps the page current: the HTML already holds the state, this applies the changes that /events sends.
"use strict";

const WORDS = { free: "Free", occupied: "Occupied", unknown: "Not heard yet" };
const live = document.getElementById("live");

function stateOf(bay) {
  return bay.occupied === null ? "unknown" : bay.occupied ? "occupied" : "free";
}

function setMark(element, state, fresh) {
  element.classList.remove("free", "occupied", "unknown", "fresh");
  element.classList.add(state);
  if (fresh) {
    void element.getBoundingClientRect(); // restart the animation
    element.classList.add("fresh");
  }
}

function show(bay, fresh) {
  const state = stateOf(bay);
  const name = CSS.escape(bay.id);
  const mark = document.querySelector(`.marks [data-bay="${name}"]`);
  if (mark) {
    setMark(mark, state, fresh);
    mark.querySelector("title").textContent = `${bay.id}, ${bay.street}: ${WORDS[state]}`;
  }
  const row = document.querySelector(`tr[data-bay="${name}"]`);
  if (!row) return;
  row.dataset.state = state;
  setMark(row.querySelector(".mark"), state, false);
  row.querySelector(".word").textContent = WORDS[state];
  row.querySelector(".since").replaceChildren(sinceElement(bay.since));
}

function sinceElement(since) {
  if (since === null) return document.createTextNode("–");
  const time = document.createElement("time");
  time.dateTime = since;
  time.title = since;
  time.textContent = new Date(since).toLocaleTimeString();
  return time;
}

function count() {
  for (const card of document.querySelectorAll(".count")) {
    const free = document.querySelectorAll(`tr[data-kind="${CSS.escape(card.dataset.kind)}"][data-state="free"]`);
    card.querySelector(".free-count").textContent = free.length;
  }
}

function say(text, on) {
  if (live.textContent !== text) live.textContent = text;
  live.classList.toggle("on", on);
}

function follow() {
  const events = new EventSource("/events");
  events.addEventListener("snapshot", (event) => {
    for (const bay of JSON.parse(event.data)) show(bay, false);
    count();
    say("Live", true);
  });
  events.addEventListener("change", (event) => {
    show(JSON.parse(event.data), true);
    count();
  });
  events.addEventListener("error", () => {
    say("Connection lost, trying again…", false);
    // After a refusal (too many viewers) the browser gives up by itself.
    if (events.readyState === EventSource.CLOSED) setTimeout(follow, 10000);
  });
}

follow();
