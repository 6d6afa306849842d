"""What people fill in and look at beside messages: modals and the home tab, as pure functions from data to views."""
