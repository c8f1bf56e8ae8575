<%@ page contentType="text/plain" trimDirectiveWhitespaces="true" %><%
  // Says which request it took this one for, and writes it down. Below /early
  // it answers before it has read the body.
  String text = "took " + request.getMethod() + " " + request.getRequestURI();
  System.out.println(text);
  if (request.getRequestURI().indexOf("/early") < 0) {
    try { request.getInputStream().readAllBytes(); } catch (java.io.IOException broken) { }
  }
  response.getOutputStream().print(text);
%>
