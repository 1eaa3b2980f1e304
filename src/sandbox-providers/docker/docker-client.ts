import './seldom-parts.ts'; // before dockerode: it stands in for parts of it

export { default as Docker } from 'dockerode';
