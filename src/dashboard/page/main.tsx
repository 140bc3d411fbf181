import { render } from 'preact';
import { App } from './app.js';
import { Live } from './live/hooks.js';
import { LiveStore } from './live/live-store.js';
import './page.css';

const store = new LiveStore();
store.start();
render(
  <Live.Provider value={store}>
    <App />
  </Live.Provider>,
  document.getElementById('page')!,
);
