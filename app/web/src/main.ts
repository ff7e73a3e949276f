import { mount } from 'svelte';
import App from './App.svelte';
import './app.css';
import { words } from './words.svelte';

const AGAIN_MS = 2_000;

/** Nothing can be said without words: until they have come, the page stays empty and asks again. */
async function start(): Promise<void> {
  try {
    await words.ready();
  } catch (fault) {
    console.error(fault);
    setTimeout(start, AGAIN_MS);
    return;
  }
  mount(App, { target: document.getElementById('app')! });
}

void start();
