/** Which methods an address knows, so that a wrong one is told from a wrong address. */
export class Methods {
  readonly #routes: { readonly pattern: RegExp; readonly methods: readonly string[] }[] = [];

  add(url: string, methods: readonly string[]): void {
    if (url.includes('*')) return;
    const source = url
      .split('/')
      .map((part) => (part.startsWith(':') ? '[^/]+' : part.replace(/[.$+?()[\]{}|^\\]/g, '\\$&')));
    this.#routes.push({ pattern: new RegExp(`^${source.join('/')}$`), methods });
  }

  /** Empty when there is nothing at that path. */
  at(path: string): readonly string[] {
    return [
      ...new Set(this.#routes.flatMap(({ pattern, methods }) => (pattern.test(path) ? methods : []))),
    ].sort();
  }
}
