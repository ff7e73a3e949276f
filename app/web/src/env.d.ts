/// <reference types="vite/client" />
/// <reference types="svelte" />
declare module '*.ftl?start' {
  const source: string;
  export default source;
}
declare module '*.ftl?later' {
  const source: string;
  export default source;
}
