import { render } from 'preact';
import { App } from './app.tsx';
import 'uplot/dist/uPlot.min.css';
import './style/base.css';
import './style/controls.css';
import './style/parts.css';
import './style/access.css';
import './style/time.css';

render(<App />, document.getElementById('app')!);
