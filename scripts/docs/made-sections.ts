const begin = (name: string): string => `<!-- made by \`npm run docs\`: ${name} -->\n<!-- prettier-ignore-start -->`;
const end = '<!-- prettier-ignore-end -->';

/** A document with these sections of it made anew. The text between them stays as it is. */
export function withSections(text: string, sections: Readonly<Record<string, string>>): string {
  let made = text;
  for (const [name, content] of Object.entries(sections)) {
    const from = made.indexOf(begin(name));
    const to = made.indexOf(end, from);
    if (from < 0 || to < 0) throw new Error(`The document has no place for its ${name}.`);
    made = `${made.slice(0, from)}${begin(name)}\n\n${content}\n\n${made.slice(to)}`;
  }
  return made;
}
