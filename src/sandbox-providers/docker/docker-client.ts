// oxlint-disable-next-line import/no-unassigned-import -- it has to come before dockerode
import './seldom-parts.ts';

export { default as Docker } from 'dockerode';
