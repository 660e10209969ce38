const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** For texts and for quoted attributes. Characters that no document may hold are shown as U+FFFD. */
export const escapeHtml = (text: string): string =>
  text
    .replaceAll(/[&<>"']/g, (one) => ENTITIES[one]!)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what must not come through.
    .replaceAll(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g, '\ufffd');
