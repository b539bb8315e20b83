import { en } from './en.ts';
import type { Messages } from './en.ts';

/** The words in use. */
export const messages: Messages = en;
