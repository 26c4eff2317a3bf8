// Says in words why a passkey did not work, where the browser says it in a console that nobody reads.

const WORDS = {
  NotAllowedError: "That was cancelled, or took too long. Please try again.",
  InvalidStateError: "This device has a passkey for you already.",
  SecurityError: "Passkeys work at the portal's own name over HTTPS only, not at an IP address.",
};

document.addEventListener("allauth.error", (event) => {
  event.preventDefault();
  const notice = document.createElement("p");
  notice.className = "notice notice--bad";
  notice.setAttribute("role", "alert");
  notice.textContent =
    WORDS[event.detail.exception.name] ?? "This browser cannot use a passkey here. Please use another way.";
  document.getElementById("flash").replaceChildren(notice);
});
