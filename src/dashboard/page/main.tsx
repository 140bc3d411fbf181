import { render } from 'preact';
import { App } from './app.js';
import { Live } from './live/hooks.js';
import { LiveStore } from './live/live-store.js';
import { routeOf } from './live/router.js';
import './page.css';

const route = routeOf(location.hash);
const store = new LiveStore('flagKey' in route ? route.flagKey : undefined);
store.start();
render(
  <Live.Provider value={store}>
    <App />
  </Live.Provider>,
  document.getElementById('page')!,
);
