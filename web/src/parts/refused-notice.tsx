/** What the key may not see, in the server's words: they name the scope that is missing. */
export function RefusedNotice({ title, why }: { readonly title: string; readonly why: string }) {
  return (
    <section class="card refused" aria-labelledby="refused-title">
      <h2 id="refused-title">{title}</h2>
      <p role="status">{why}</p>
    </section>
  );
}
