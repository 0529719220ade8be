"""One adapter per slide library; nothing else imports those libraries."""
