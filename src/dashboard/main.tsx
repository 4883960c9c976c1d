/**
 * Entry of the dashboard. In the browser.
 *
 * Always true: everything it needs comes from the broker that served it; nothing is asked of any other host. The order of style
 * sheets is the order of their imports: later ones may override.
 */
import { render } from 'preact';

import './style/base.css';
import './style/layout.css';
import './style/component.css';
import { App } from './app.js';
import { startLive } from './base/live.js';

const root = document.querySelector('#app');
if (root !== null) {
  startLive();
  render(<App />, root);
}
